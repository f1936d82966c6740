package clusterfile

import (
	"net/netip"
	"slices"

	"go4.org/netipx"
	"k8s.io/apimachinery/pkg/util/validation"

	"viplog/core/event"
)

// Values of a Cluster's enumerations.
const (
	ModeBundled = "bundled"
	ModeManual  = "manual"

	TypeLayer2 = "layer2"
	TypeBGP    = "bgp"

	clusterAdmin      = "admin"
	clusterUser       = "user"
	clusterHybrid     = "hybrid"
	clusterStandalone = "standalone"

	profileDefault = "default"
	profileEdge    = "edge"
)

const (
	defaultControlPlaneLBPort = 443
	maxPort                   = 65535
	maxASN                    = 1<<32 - 1
	maxVRRPRepeat             = 1<<31 - 1
)

// clusterSpec is what viplog reads of a Cluster document.
type clusterSpec struct {
	place
	name, namespace    value[string]
	clusterType        value[string]
	profile            value[string]
	pods, services     []value[netip.Prefix]
	advancedNetworking value[bool]

	controlPlaneAt   place
	controlPlane     []declaredNode
	controlPlaneMode value[string]
	vrrpRepeat       value[int64]

	loadBalancerAt      place
	mode, lbType        value[string]
	port                value[int64]
	controlPlaneVIP     value[netip.Addr]
	ingressVIP          value[netip.Addr]
	poolsAt             place
	poolsListed         int  // also those that cannot be read
	poolsInDoubt        bool // something of the pools cannot be read, so nothing can be said to lie outside
	pools               []poolSpec
	hasLoadBalancerPool bool
	loadBalancer        []declaredNode
	localASN            value[int64]
	peersAt             place
	peers               []peerSpec
}

// declaredNode is a node of any pool. Its identity is k8sIP where given, else address.
type declaredNode struct {
	place
	address, k8sIP value[netip.Addr]
}

func (n declaredNode) identity() value[netip.Addr] {
	if n.k8sIP.set {
		return n.k8sIP
	}
	return n.address
}

// addresses gives what is readable of a node's address and k8sIP.
func (n declaredNode) addresses() []value[netip.Addr] {
	var all []value[netip.Addr]
	if n.address.ok {
		all = append(all, n.address)
	}
	if n.k8sIP.ok && !(n.address.ok && n.address.v == n.k8sIP.v) {
		all = append(all, n.k8sIP)
	}
	return all
}

type poolSpec struct {
	place
	name                        value[string]
	addresses                   []value[netipx.IPRange]
	avoidBuggyIPs, manualAssign value[bool]
}

type peerSpec struct {
	place
	asn               value[int64]
	hasNodes          bool
	controlPlaneNodes []value[netip.Addr]
}

// layer2 says whether viplog serves the cluster: all other rules apply to every cluster.
func (s *clusterSpec) layer2() bool {
	return s.mode.v == ModeBundled && s.lbType.v != TypeBGP
}

// balancers are the nodes that carry the load balancing.
func (s *clusterSpec) balancers() []declaredNode {
	if s.hasLoadBalancerPool {
		return s.loadBalancer
	}
	return s.controlPlane
}

func readCluster(c cursor) *clusterSpec {
	s := &clusterSpec{place: c.place}
	meta := c.object("metadata")
	s.name = meta.field("name").checked(validation.IsDNS1123Label)
	s.namespace = meta.field("namespace").checked(validation.IsDNS1123Label)
	if !s.name.set {
		meta.report(s.name.required("the cluster's name%s", meta.hint("name")))
	}
	spec := c.object("spec")
	s.clusterType = spec.field("type").oneOf(clusterAdmin, clusterUser, clusterHybrid, clusterStandalone)
	if !s.clusterType.set {
		spec.report(s.clusterType.required("one of admin, user, hybrid, standalone%s", spec.hint("type")))
	}
	s.profile = spec.field("profile").oneOf(profileDefault, profileEdge)
	readNetwork(spec, s)
	readControlPlane(spec, s)
	readLoadBalancer(spec, s)
	return s
}

func readNetwork(spec cursor, s *clusterSpec) {
	network := spec.object("clusterNetwork")
	s.advancedNetworking = network.field("advancedNetworking").boolean()
	s.pods = readBlocks(network, "pods")
	s.services = readBlocks(network, "services")
}

func readBlocks(network cursor, name string) []value[netip.Prefix] {
	parent := network.object(name)
	items := parent.list("cidrBlocks")
	if at := parent.field("cidrBlocks"); len(items) == 0 && (!at.exists() || at.node.kind == listNode) {
		at.report(at.required("at least one block like 10.96.0.0/20%s", parent.hint("cidrBlocks")))
	}
	var blocks []value[netip.Prefix]
	for _, item := range items {
		block := item.prefix()
		if !block.set {
			item.report(block.required("a block like 10.96.0.0/20"))
		}
		blocks = append(blocks, block)
	}
	return blocks
}

func readControlPlane(spec cursor, s *clusterSpec) {
	controlPlane := spec.object("controlPlane")
	balancer := controlPlane.object("loadBalancer")
	balancer.only("mode", "keepalivedVRRPGARPMasterRepeat")
	s.controlPlaneMode = balancer.field("mode").oneOf(ModeBundled, ModeManual)
	s.vrrpRepeat = balancer.field("keepalivedVRRPGARPMasterRepeat").integer(1, maxVRRPRepeat)
	pool := controlPlane.object("nodePoolSpec")
	s.controlPlaneAt = pool.child("nodes")
	s.controlPlane = readNodes(pool, false)
	if len(s.controlPlane) == 0 && len(pool.nodes()) == 0 {
		pool.report(s.controlPlaneAt.required("at least one node%s", pool.hint("nodes")))
	}
}

// nodes gives the raw items, to tell an empty list from one whose items cannot be read.
func (c cursor) nodes() []*node {
	if f := c.node.get("nodes"); f != nil {
		if f.value.kind == listNode {
			return f.value.items
		}
		return []*node{f.value}
	}
	return nil
}

// readNodes reads a pool's nodes. Only inside spec.loadBalancer is an unknown field an error; a mistyped k8sIP changes
// which host is meant everywhere, so elsewhere it is warned of.
func readNodes(pool cursor, strict bool) []declaredNode {
	var nodes []declaredNode
	for _, item := range pool.objects("nodes") {
		if strict {
			item.only("address", "k8sIP")
		} else {
			item.doubtful("address", "k8sIP")
		}
		n := declaredNode{place: item.place, address: item.field("address").ipv4(), k8sIP: item.field("k8sIP").ipv4()}
		if !n.address.set {
			item.report(n.address.required("the node's IPv4 address"))
		}
		nodes = append(nodes, n)
	}
	return nodes
}

func readLoadBalancer(spec cursor, s *clusterSpec) {
	balancer := spec.object("loadBalancer")
	s.loadBalancerAt = balancer.place
	balancer.only("mode", "type", "ports", "vips", "addressPools", "nodePoolSpec", "localASN", "bgpPeers")
	s.mode = balancer.field("mode").oneOf(ModeBundled, ModeManual)
	if !s.mode.set {
		hint := spec.hint("loadBalancer")
		if balancer.exists() {
			hint = balancer.hint("mode")
		}
		balancer.report(s.mode.required("bundled or manual%s", hint))
	}
	s.lbType = balancer.field("type").oneOf(TypeLayer2, TypeBGP)
	ports := balancer.object("ports")
	ports.only("controlPlaneLBPort")
	s.port = ports.field("controlPlaneLBPort").integer(1, maxPort)
	vips := balancer.object("vips")
	vips.only("controlPlaneVIP", "ingressVIP")
	s.controlPlaneVIP = vips.field("controlPlaneVIP").ipv4()
	if !s.controlPlaneVIP.set {
		vips.report(s.controlPlaneVIP.required("the IPv4 address of the control plane"))
	}
	s.ingressVIP = vips.field("ingressVIP").ipv4()
	readPools(balancer, s)
	if pool := balancer.object("nodePoolSpec"); pool.exists() {
		s.hasLoadBalancerPool = true
		pool.only("nodes", "kubeletConfig", "taints", "labels", "upgradeStrategy")
		s.loadBalancer = readNodes(pool, true)
		if len(s.loadBalancer) == 0 && len(pool.nodes()) == 0 {
			pool.report(pool.child("nodes").required("at least one node; leave nodePoolSpec out to balance on the control-plane nodes"))
		}
	}
	readBGP(balancer, s)
}

func readPools(balancer cursor, s *clusterSpec) {
	s.poolsAt = balancer.child("addressPools")
	items := balancer.objects("addressPools")
	s.poolsListed = len(items)
	if at := balancer.field("addressPools"); at.exists() {
		s.poolsInDoubt = at.node.kind != listNode || len(at.node.items) != len(items)
	}
	for _, item := range items {
		item.only("name", "addresses", "avoidBuggyIPs", "manualAssign")
		pool := poolSpec{
			place:         item.place,
			name:          item.field("name").checked(validation.IsDNS1123Subdomain),
			addresses:     readRanges(item),
			avoidBuggyIPs: item.field("avoidBuggyIPs").boolean(),
			manualAssign:  item.field("manualAssign").boolean(),
		}
		if !pool.name.set {
			item.report(pool.name.required("the pool's name"))
		}
		inDoubt := slices.ContainsFunc(pool.addresses, func(r value[netipx.IPRange]) bool { return !r.ok })
		s.poolsInDoubt = s.poolsInDoubt || inDoubt || len(pool.addresses) == 0
		s.pools = append(s.pools, pool)
	}
}

func readRanges(pool cursor) []value[netipx.IPRange] {
	const want = "a range like 10.200.0.72-10.200.0.90, a CIDR or an address"
	items := pool.list("addresses")
	if at := pool.field("addresses"); len(items) == 0 && (!at.exists() || at.node.kind == listNode) {
		at.report(at.required("at least one entry: %s", want))
	}
	var ranges []value[netipx.IPRange]
	for _, item := range items {
		r := parsed(item, event.ParseRange)
		if !r.set {
			item.report(r.required(want))
		}
		ranges = append(ranges, r)
	}
	return ranges
}

func readBGP(balancer cursor, s *clusterSpec) {
	s.localASN = balancer.field("localASN").integer(1, maxASN)
	s.peersAt = balancer.child("bgpPeers")
	for _, item := range balancer.objects("bgpPeers") {
		item.only("ip", "asn", "controlPlaneNodes")
		peer := peerSpec{place: item.place, asn: item.field("asn").integer(1, maxASN)}
		if ip := item.field("ip").ipv4(); !ip.set {
			item.report(ip.required("the peer's IPv4 address"))
		}
		if !peer.asn.set {
			item.report(peer.asn.required("the peer's autonomous system number"))
		}
		nodes := item.list("controlPlaneNodes")
		peer.hasNodes = len(nodes) > 0
		for _, n := range nodes {
			peer.controlPlaneNodes = append(peer.controlPlaneNodes, n.ipv4())
		}
		s.peers = append(s.peers, peer)
	}
}
