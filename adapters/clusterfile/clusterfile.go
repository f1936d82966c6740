package clusterfile

import (
	"fmt"
	"net/netip"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation/field"

	"viplog/core/event"
)

// File is a valid cluster file: what it declares, as the facts that an operator appends.
type File struct {
	// Mode is ModeBundled or ModeManual, Type is TypeLayer2 or TypeBGP.
	Mode, Type string
	// Cluster declares the control-plane nodes, then the load-balancer pool's. Absent optional fields are zero; the port
	// alone has its default, because no value of it means none.
	Cluster event.ClusterConfigured
	// Pools are in file order, their addresses as written.
	Pools []event.Pool
	// Settings are the defaults, overlaid by the Settings document.
	Settings event.SettingsChanged
	// Warnings are sorted by line.
	Warnings []Problem
	// Notice says in one sentence that viplog does nothing for this cluster, and why. It is empty for a cluster that
	// viplog serves.
	Notice string

	name string
	docs []*document // where Problem looks: the Cluster's first
}

// Parse reads and validates a cluster file. name is used in messages only. The error is Problems: all of them at once,
// sorted by line.
func Parse(name string, data []byte) (*File, error) {
	out := &collector{file: name}
	docs := readDocuments(data, out)
	unreadable := len(out.problems) > 0
	c := sortDocuments(docs, out, unreadable)
	if c.cluster == nil {
		return nil, out.err()
	}
	for _, rule := range rules {
		out.failAll(rule(c))
	}
	if err := out.err(); err != nil {
		return nil, err
	}
	f := fileOf(name, c)
	if f.Notice == "" {
		warn(c, out)
	}
	f.Warnings = sortProblems(out.warnings)
	checkFacts(f, c, out)
	if err := out.err(); err != nil {
		return nil, err
	}
	return f, nil
}

func fileOf(name string, c *config) *File {
	s := c.cluster
	f := &File{
		Mode:     s.mode.v,
		Type:     TypeLayer2,
		Settings: event.DefaultSettings(),
		Cluster: event.ClusterConfigured{
			Name:                 s.name.v,
			ClusterType:          s.clusterType.v,
			ControlPlaneVIP:      s.controlPlaneVIP.v,
			ControlPlaneLBPort:   defaultControlPlaneLBPort,
			ControlPlaneLBMode:   s.controlPlaneMode.v,
			IngressVIP:           s.ingressVIP.v,
			PodCIDRs:             prefixes(s.pods),
			ServiceCIDRs:         prefixes(s.services),
			VRRPGARPMasterRepeat: int(s.vrrpRepeat.v),
		},
		name: name,
		docs: []*document{s.doc},
	}
	overlay(&f.Type, s.lbType)
	if s.port.ok {
		f.Cluster.ControlPlaneLBPort = uint16(s.port.v)
	}
	for _, n := range s.controlPlane {
		f.Cluster.Nodes = append(f.Cluster.Nodes, event.DeclaredNode{Address: n.identity().v, Role: event.RoleControlPlane})
	}
	for _, n := range s.loadBalancer {
		f.Cluster.Nodes = append(f.Cluster.Nodes, event.DeclaredNode{Address: n.identity().v, Role: event.RoleLoadBalancer})
	}
	for _, p := range s.pools {
		pool := event.Pool{Name: p.name.v, AvoidBuggyIPs: p.avoidBuggyIPs.v, ManualAssign: p.manualAssign.v}
		for _, r := range p.addresses {
			pool.Addresses = append(pool.Addresses, r.text)
		}
		f.Pools = append(f.Pools, pool)
	}
	if c.settings != nil {
		f.Settings = c.settings.result
		f.docs = append(f.docs, c.settings.doc)
	}
	for _, p := range c.nodePools {
		f.docs = append(f.docs, p.doc)
	}
	f.Notice = notice(f)
	return f
}

func notice(f *File) string {
	switch {
	case f.Mode == ModeManual:
		return fmt.Sprintf("viplog does nothing for cluster %q: with spec.loadBalancer.mode manual, a load balancer outside the cluster carries its addresses.", f.Cluster.Name)
	case f.Type == TypeBGP:
		return fmt.Sprintf("viplog does nothing for cluster %q: with spec.loadBalancer.type bgp, its addresses are announced to routers, and viplog announces in layer 2 only.", f.Cluster.Name)
	default:
		return ""
	}
}

func prefixes(values []value[netip.Prefix]) []netip.Prefix {
	all := make([]netip.Prefix, len(values))
	for i, v := range values {
		all[i] = v.v
	}
	return all
}

// checkFacts holds the package's promise where the file is made: what event.Encode refuses, such as a fact of more than
// 64 KiB, is a problem of the file.
func checkFacts(f *File, c *config, out *collector) {
	check := func(at place, shown string, e event.Event) {
		if _, err := event.Encode(e); err != nil {
			out.failAll([]finding{at.invalid(shown, "%s", strings.ReplaceAll(err.Error(), "\n", "; "))})
		}
	}
	check(c.cluster.name.place, f.Cluster.Name, f.Cluster)
	for i, p := range f.Pools {
		check(c.cluster.pools[i].name.place, p.Name, event.PoolAdded{Pool: p})
	}
	if c.settings != nil {
		check(c.settings.child("kind"), kindSettings, f.Settings)
	}
}

// Problem places an error that was found elsewhere, such as a field that the ledger says is immutable, at the line of
// the field: the exact path, else its nearest parent that exists. The path is looked for in the Cluster document, the
// Settings and the NodePools; the document that has most of it wins, the Cluster first.
func (f *File) Problem(path, value, reason string) Problem {
	err := field.Invalid(nil, clip(value), reason)
	line, most := 1, -1
	for _, d := range f.docs {
		if at, steps := d.find(path); steps > most {
			line, most = at, steps
		}
	}
	return Problem{File: f.name, Line: line, Field: path, Message: err.ErrorBody()}
}
