package install

import (
	"cmp"
	"net/netip"
	"slices"

	"viplog/core/control"
)

// Host is one of the cluster's.
type Host struct {
	Address    netip.Addr
	Name       string // in Secrets: the Kubernetes Node's name too
	Node       bool   // answers for addresses
	Controller bool
}

// Options say what is to be installed.
type Options struct {
	Namespace string // "": DefaultNamespace
	Cluster   string // its name
	Image     string // its entry point is viplog
	// Hosts are all that have a role, HostsFile is their hosts.json, and ClusterFile what the cluster's ConfigMap is to hold.
	Hosts                  []Host
	HostsFile, ClusterFile []byte
	// SecretOf names the Secret of a host's identity; nil: the identity lies on the host, in IdentityFolder.
	SecretOf       func(Host) string
	IdentityFolder string // "": DefaultIdentityFolder
	DataFolder     string // "": DefaultDataFolder
	// NATS is the URL of servers that are not viplog's own.
	NATS      string
	TrustFeed bool
	// HTTP is where a host tells of its health, and is asked.
	HTTP netip.AddrPort
	// LabelNodes lets controllers label the nodes that carry addresses, which is how Pods find them.
	LabelNodes bool
	// DataPlane are the flags that say what a node waits for before it announces a new address.
	DataPlane []string
	Frontend  *Frontend // nil: nobody keeps the control plane's front end
}

// Frontend is the control plane's, which viplog keeps as static Pods.
type Frontend struct {
	Args []string // the flags that choose it
	// Folders are those that viplog writes to, with all that is in them. They hold the ones for manifests, configurations and sockets.
	Folders []string
}

// What Options are where they are not given.
const (
	DefaultNamespace      = "viplog-system"
	DefaultIdentityFolder = "/etc/viplog"
	DefaultDataFolder     = "/var/lib/viplog"
)

// Names of what is installed.
const (
	nameController = "viplog-controller"
	nameNode       = "viplog-node"
	nameCluster    = "viplog-cluster" // the ConfigMap of the cluster file
	nameHosts      = "viplog-hosts"   // the ConfigMap of hosts.json

	keyCluster = "cluster.yaml"
	keyHosts   = "hosts.json"
)

// LabelNode is on Kubernetes Nodes that carry addresses, with the value "true", as Google Distributed Cloud has it.
const LabelNode = control.LabelLoadBalancerNode

func (o Options) withDefaults() Options {
	o.Namespace = cmp.Or(o.Namespace, DefaultNamespace)
	o.IdentityFolder = cmp.Or(o.IdentityFolder, DefaultIdentityFolder)
	o.DataFolder = cmp.Or(o.DataFolder, DefaultDataFolder)
	return o
}

func (o Options) hosts(controller bool) (all []Host) {
	for _, h := range o.Hosts {
		if h.Controller == controller {
			all = append(all, h)
		}
	}
	return all
}

func anyNode(hosts []Host) bool {
	return slices.ContainsFunc(hosts, func(h Host) bool { return h.Node })
}
