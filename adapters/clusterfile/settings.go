package clusterfile

import (
	"fmt"
	"net/netip"
	"strings"
	"time"

	"go4.org/netipx"
	"k8s.io/apimachinery/pkg/util/validation"

	"viplog/core/event"
)

// settingsSpec is a Settings document: the settings as the fact will hold them, and the places of what the rules
// compare with the cluster.
type settingsSpec struct {
	place
	result  event.SettingsChanged
	voters  []value[netip.Addr]
	subnets []subnetSpec
	pools   []poolSettingsSpec
}

type subnetSpec struct {
	prefix  value[netip.Prefix]
	gateway value[netip.Addr]
}

type poolSettingsSpec struct {
	place
	name    value[string]
	exclude []value[netipx.IPRange]
}

const (
	maxPriority = 1<<31 - 1
	maxQuota    = 1<<31 - 1
	maxWeight   = 100
)

func readSettings(c cursor) *settingsSpec {
	s := &settingsSpec{place: c.place, result: event.DefaultSettings()}
	c.only("apiVersion", "kind", "profile", "onIsolation", "voters", "ingressService", "loadBalancerClass",
		"excludeTaints", "ignoreExcludeLabel", "subnets", "pools", "frontend")
	overlay(&s.result.Profile, c.field("profile").oneOf(event.ProfileFast, event.ProfileDefault, event.ProfileRelaxed))
	overlay(&s.result.OnIsolation, c.field("onIsolation").oneOf(event.OnIsolationHold, event.OnIsolationYield))
	overlay(&s.result.IngressService, parsed(c.field("ingressService"), parseServiceName))
	overlay(&s.result.LoadBalancerClass, parsed(c.field("loadBalancerClass"), parseClass))
	overlay(&s.result.IgnoreExcludeLabel, c.field("ignoreExcludeLabel").boolean())
	for _, item := range c.list("excludeTaints") {
		taint := parsed(item, parseTaint)
		if !taint.set {
			item.report(taint.required("a taint's key, or key=value:effect"))
		}
		s.result.ExcludeTaints = append(s.result.ExcludeTaints, taint.v)
	}
	for _, item := range c.list("voters") {
		voter := item.ipv4()
		if !voter.set {
			item.report(voter.required("a declared node's address"))
		}
		s.voters = append(s.voters, voter)
		s.result.Voters = append(s.result.Voters, voter.v)
	}
	for _, item := range c.objects("subnets") {
		readSubnet(item, s)
	}
	for _, item := range c.objects("pools") {
		readPoolSettings(item, s)
	}
	readFrontend(c.object("frontend"), s)
	return s
}

func readFrontend(c cursor, s *settingsSpec) {
	c.only("routerID", "otherRouterIDs")
	f := &s.result.Frontend
	f.RouterID = int(c.field("routerID").integer(1, event.MaxRouterID).v)
	for _, item := range c.list("otherRouterIDs") {
		id := item.integer(1, event.MaxRouterID)
		switch {
		case !id.set:
			item.report(id.required("a router id that others have, from 1 to 255"))
		case id.ok && int(id.v) == f.RouterID:
			item.report(id.bad("is routerID: two routers of one id take each other's addresses"))
		}
		f.OtherRouterIDs = append(f.OtherRouterIDs, int(id.v))
	}
}

func overlay[T any](target *T, v value[T]) {
	if v.ok {
		*target = v.v
	}
}

func parseServiceName(text string) (string, error) {
	namespace, name, found := strings.Cut(text, "/")
	if !found || len(validation.IsDNS1123Label(namespace)) > 0 || len(validation.IsDNS1123Label(name)) > 0 {
		return "", fmt.Errorf("must be NAMESPACE/NAME of a Service, like %s", event.DefaultIngressService)
	}
	return text, nil
}

// parseClass accepts what the API server accepts as a Service's loadBalancerClass, and the empty class.
func parseClass(text string) (string, error) {
	if problems := validation.IsQualifiedName(text); text != "" && len(problems) > 0 {
		return "", fmt.Errorf("not a load balancer class: %s", strings.Join(problems, "; "))
	}
	return text, nil
}

// parseTaint takes a taint's key, or all of it: "key=value:effect".
func parseTaint(text string) (string, error) {
	key, rest, _ := strings.Cut(text, "=")
	key, _, _ = strings.Cut(key, ":")
	if problems := validation.IsQualifiedName(key); len(problems) > 0 {
		return "", fmt.Errorf("not a taint: %s", strings.Join(problems, "; "))
	}
	if rest != "" && !strings.Contains(rest, ":") {
		return "", fmt.Errorf("must be a taint's key, or key=value:effect")
	}
	return text, nil
}

func readSubnet(c cursor, s *settingsSpec) {
	c.only("prefix", "gateway", "interface")
	subnet := subnetSpec{prefix: c.field("prefix").prefix(), gateway: parsed(c.field("gateway"), parseGateway)}
	if !subnet.prefix.set {
		c.report(subnet.prefix.required("the subnet's CIDR, like 10.0.0.0/24"))
	}
	ifi := parsed(c.field("interface"), parseInterface)
	s.subnets = append(s.subnets, subnet)
	s.result.Subnets = append(s.result.Subnets,
		event.Subnet{Prefix: subnet.prefix.v, Gateway: subnet.gateway.v, Interface: ifi.v})
}

func parseGateway(text string) (netip.Addr, error) {
	addr, err := netip.ParseAddr(text)
	switch {
	case err != nil:
		return netip.Addr{}, fmt.Errorf("must be an IP address; leave gateway out where there is none")
	case addr.Is4In6():
		return netip.Addr{}, fmt.Errorf("is IPv4 in IPv6 form; write %s", addr.Unmap())
	case addr.Zone() != "":
		return netip.Addr{}, fmt.Errorf("must not have a zone; write %s", addr.WithZone(""))
	}
	return addr, nil
}

// parseInterface holds the kernel's rules for names (dev_valid_name); the empty name means any interface.
func parseInterface(text string) (string, error) {
	const longest = 15
	bad := len(text) > longest || text == "." || text == ".." ||
		strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r == '/' || r == ':' || r >= 0x7f })
	if bad {
		return "", fmt.Errorf("not a network interface's name: at most %d characters without spaces, slashes and colons", longest)
	}
	return text, nil
}

func readPoolSettings(c cursor, s *settingsSpec) {
	c.only("name", "priority", "namespaces", "namespaceSelectors", "serviceSelectors", "exclude", "quotaPerNamespace",
		"cooldown", "onEdit", "announce")
	spec := poolSettingsSpec{place: c.place, name: c.field("name").str()}
	if !spec.name.set {
		c.report(spec.name.required("the name of a pool in spec.loadBalancer.addressPools"))
	}
	p := event.PoolSettings{
		Name:               spec.name.v,
		Priority:           int(c.field("priority").integer(0, maxPriority).v),
		NamespaceSelectors: readSelectors(c, "namespaceSelectors"),
		ServiceSelectors:   readSelectors(c, "serviceSelectors"),
		QuotaPerNamespace:  int(c.field("quotaPerNamespace").integer(1, maxQuota).v),
		OnEdit:             c.field("onEdit").oneOf(event.OnEditRefuse, event.OnEditDrain, event.OnEditEvict).v,
	}
	for _, item := range c.list("namespaces") {
		namespace := item.checked(validation.IsDNS1123Label)
		if !namespace.set {
			item.report(namespace.required("a namespace's name"))
		}
		p.Namespaces = append(p.Namespaces, namespace.v)
	}
	for _, item := range c.list("exclude") {
		r := parsed(item, event.ParseRange)
		if !r.set {
			item.report(r.required("a range of the pool's addresses"))
		}
		spec.exclude = append(spec.exclude, r)
		p.Exclude = append(p.Exclude, r.text)
	}
	if cooldown := readCooldown(c.field("cooldown")); cooldown.ok {
		p.CooldownSeconds = &cooldown.v
	}
	for _, item := range c.objects("announce") {
		p.Announce = append(p.Announce, readAnnounce(item))
	}
	s.pools = append(s.pools, spec)
	s.result.Pools = append(s.result.Pools, p)
}

// readCooldown tells who writes a bare number that the unit is missing, not the quotes.
func readCooldown(c cursor) value[int64] {
	if c.exists() && c.node.tag == "!!int" {
		v := value[int64]{place: c.place, text: c.node.text, set: true}
		c.report(v.bad("must be a duration with its unit, like 60s or 5m"))
		return v
	}
	return parsed(c, parseCooldown)
}

// parseCooldown wants whole seconds, the unit of the fact; nothing is rounded in silence.
func parseCooldown(text string) (int64, error) {
	d, err := time.ParseDuration(text)
	switch {
	case err != nil:
		return 0, fmt.Errorf("must be a duration with its unit, like 60s or 5m")
	case d < 0:
		return 0, fmt.Errorf("must not be negative")
	case d%time.Second != 0:
		return 0, fmt.Errorf("must be whole seconds")
	}
	return int64(d / time.Second), nil
}

func readAnnounce(c cursor) event.AnnounceRule {
	c.only("nodeSelectors", "interfaces", "serviceSelectors", "preferred")
	rule := event.AnnounceRule{
		NodeSelectors:    readSelectors(c, "nodeSelectors"),
		ServiceSelectors: readSelectors(c, "serviceSelectors"),
	}
	for _, item := range c.list("interfaces") {
		ifi := parsed(item, parseInterface)
		if ifi.text == "" {
			item.report(ifi.required("an interface's name"))
		}
		rule.Interfaces = append(rule.Interfaces, ifi.v)
	}
	for _, item := range c.objects("preferred") {
		item.only("weight", "nodeSelector")
		weight, selector := item.field("weight").integer(1, maxWeight), item.object("nodeSelector")
		if !weight.set {
			item.report(weight.required("1 to %d", maxWeight))
		}
		if at := item.field("nodeSelector"); !at.exists() {
			item.report(selector.required("the nodes to prefer; write {} for all"))
		}
		rule.Preferred = append(rule.Preferred, event.WeightedRule{Weight: int(weight.v), NodeSelector: readSelector(selector)})
	}
	return rule
}
