package ledger

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"

	"github.com/tidwall/btree"

	"viplog/core/event"
	"viplog/core/ipset"
)

// State is the ledger: what all facts up to a sequence add up to. Use New, then Apply facts in order. A State may be
// read by many goroutines while none applies or clones; a Clone may go to another goroutine.
//
// Fields marked "derived" are indexes: a function of the others, rebuilt by Restore and absent from the encoding. A
// record is never changed in place, because clones share it: edit copies it.
type State struct {
	logID   string
	seq     uint64 // of the last fact applied
	time    int64  // ledger time, Unix nanoseconds: the maximum of the facts' timestamps so far
	rules   uint64
	binary  *Binary                  // that folds it; nil: this one
	cluster *event.ClusterConfigured // nil before the first
	options event.SettingsChanged
	voters  voterSets
	front   *event.FrontendAssigned // nil before the first; rules 2

	pools      table[pool]
	namespaces records[string, namespace]
	nodes      table[node]
	lingering  []Incarnation // sorted: incarnations that a join or the cluster file ended, and that are not out
	services   records[hashedKey, service]
	endpoints  records[hashedKey, endpoints]
	addresses  records[netip.Addr, address] // those in use
	coolings   *btree.BTreeG[cooling]       // by address
	conflicts  *btree.BTreeG[conflict]      // by address and node

	// starved says that some address lost its last candidate, or never had one, since the last rebalance; refilled is
	// the ledger time at which a node first joined after that. Together they ask for one rebalance.
	starved  bool
	refilled int64

	loads      loads  // derived: what each node owns and backs
	announcing string // derived: the role whose nodes announce; "" before the first cluster

	namespacesMatter, labelsMatter bool // derived: whether they decide which pools serve a Service

	tracked *listChanges // nil: nobody asked

	free      *ipset.Set                // derived: allocatable, not in use and not cooling, of all pools
	ranges    []poolRange               // derived: sorted by address
	poolOrder []string                  // derived: pools in the order in which they are asked
	queue     *btree.BTreeG[waiter]     // derived: Services that lack an address, in lines of those that are alike
	shared    *btree.BTreeG[sharedBy]   // derived: addresses in use by their users' sharing key
	uses      *btree.BTreeG[usage]      // derived: addresses that a namespace uses of a pool
	expiries  *btree.BTreeG[cooling]    // derived: coolings by instant
	coolest   *btree.BTreeG[cooled]     // derived: coolings by pool, family and instant
	kept      *btree.BTreeG[cooling]    // derived: coolings by the name they are kept for
	short     *btree.BTreeG[netip.Addr] // derived: addresses whose list is shorter than ListLength
}

// ListLength is how many nodes a succession list names at most: the owner and two standbys.
const ListLength = 3

// New makes the ledger of an empty log with this identity.
func New(logID string) *State {
	return &State{
		logID:      logID,
		options:    event.DefaultSettings(),
		pools:      table[pool]{compare: func(a, b *pool) int { return strings.Compare(a.name, b.name) }},
		namespaces: recordsOf(cmp.Less[string], func(n *namespace) string { return n.name }),
		nodes:      table[node]{compare: func(a, b *node) int { return a.address.Compare(b.address) }},
		services:   recordsOf(hashedKey.less, func(v *service) hashedKey { return hashed(v.key) }),
		endpoints:  recordsOf(hashedKey.less, func(e *endpoints) hashedKey { return hashed(e.key) }),
		addresses:  recordsOf(netip.Addr.Less, func(a *address) netip.Addr { return a.addr }),
		coolings:   treeOf(func(a, b cooling) bool { return a.addr.Less(b.addr) }),
		conflicts:  treeOf(conflict.less),
		free:       ipset.New(),
		queue:      treeOf(waiter.less),
		shared:     treeOf(sharedBy.less),
		uses:       treeOf(usage.less),
		expiries:   treeOf(cooling.lessByInstant),
		coolest:    treeOf(cooled.less),
		kept:       treeOf(cooling.lessByName),
		short:      treeOf(netip.Addr.Less),
	}
}

func treeOf[T any](less func(a, b T) bool) *btree.BTreeG[T] {
	return btree.NewBTreeGOptions(less, btree.Options{NoLocks: true})
}

// Clone makes an independent copy in O(1): trees are shared until one side writes. It counts as a write.
func (s *State) Clone() *State {
	s.loads.shared = true
	c := *s
	c.tracked = nil
	c.namespaces = s.namespaces.copy()
	c.services = s.services.copy()
	c.endpoints = s.endpoints.copy()
	c.addresses = s.addresses.copy()
	c.coolings = s.coolings.Copy()
	c.conflicts = s.conflicts.Copy()
	c.free = s.free.Clone()
	c.queue = s.queue.Copy()
	c.shared = s.shared.Copy()
	c.uses = s.uses.Copy()
	c.expiries = s.expiries.Copy()
	c.coolest = s.coolest.Copy()
	c.kept = s.kept.Copy()
	c.short = s.short.Copy()
	return &c
}

// LogID is the identity of the log whose facts were applied.
func (s *State) LogID() string { return s.logID }

// Sequence is that of the last fact applied; 0 for none.
func (s *State) Sequence() uint64 { return s.seq }

// TimeNanos is the ledger time in Unix nanoseconds: the latest timestamp among the facts applied.
func (s *State) TimeNanos() int64 { return s.time }

// Rules is the number of the rules in force.
func (s *State) Rules() uint64 { return s.rules }

// Cluster is the declared cluster; false before the first ClusterConfigured.
func (s *State) Cluster() (event.ClusterConfigured, bool) {
	if s.cluster == nil {
		return event.ClusterConfigured{}, false
	}
	return *s.cluster, true
}

// Settings are the settings in force, defaults included.
func (s *State) Settings() event.SettingsChanged { return s.options }

// Frontend is what is remembered of the control plane's front end; zero where nothing is.
func (s *State) Frontend() event.FrontendAssigned {
	if s.front == nil {
		return event.FrontendAssigned{}
	}
	return *s.front
}

// ServiceKey names a Service.
type ServiceKey struct{ Namespace, Name string }

// String is namespace/name.
func (k ServiceKey) String() string { return k.Namespace + "/" + k.Name }

// Less orders by namespace, then name.
func (k ServiceKey) Less(other ServiceKey) bool { return k.Compare(other) < 0 }

// Compare orders by namespace, then name.
func (k ServiceKey) Compare(other ServiceKey) int {
	return cmp.Or(strings.Compare(k.Namespace, other.Namespace), strings.Compare(k.Name, other.Name))
}

// hashedKey orders Services by a hash of their names, so that looking one up compares numbers and follows no pointer.
type hashedKey struct {
	hash uint64 // FNV-1a (RFC 9923) of namespace, 0, name
	ServiceKey
}

func hashed(k ServiceKey) hashedKey {
	const offset, prime = 14695981039346656037, 1099511628211
	hash := uint64(offset)
	for i := range len(k.Namespace) {
		hash = (hash ^ uint64(k.Namespace[i])) * prime
	}
	hash *= prime
	for i := range len(k.Name) {
		hash = (hash ^ uint64(k.Name[i])) * prime
	}
	return hashedKey{hash, k}
}

func (a hashedKey) less(b hashedKey) bool {
	if a.hash != b.hash {
		return a.hash < b.hash
	}
	return a.Compare(b.ServiceKey) < 0
}

// Incarnation is one life of a node: the sequence of its NodeJoined. Succession lists name incarnations.
type Incarnation struct {
	Node netip.Addr
	Join uint64
}

// Compare orders by node, then by join.
func (i Incarnation) Compare(other Incarnation) int {
	return cmp.Or(i.Node.Compare(other.Node), cmp.Compare(i.Join, other.Join))
}

type node struct {
	address     netip.Addr
	role        string // as declared
	status      nodeStatus
	drained     bool
	incarnation uint64 // of the last join; 0 before the first
	*nodeFacts         // never written: records share it

	slot int // derived: its place in the counts of loads
}

// nodeFacts is what the node and Kubernetes say of it.
type nodeFacts struct {
	name       string // as it last joined
	startID    string
	machineID  string
	key        string
	rules      uint64 // the highest it supports
	interfaces []event.Interface
	labels     []event.Label // of the Kubernetes Node
	taints     []string      // key=value:effect
	conditions []string      // that are true
}

// learn changes what is said of a node.
func (n *node) learn(change func(*nodeFacts)) {
	facts := *n.nodeFacts
	change(&facts)
	n.nodeFacts = &facts
}

// newNode is a node that has just been declared. Slots number the nodes that are there at a time.
func (s *State) newNode(a netip.Addr, role string) *node {
	n := &node{address: a, role: role, nodeFacts: &nodeFacts{}}
	s.seat(n)
	return n
}

// seat gives a node the lowest slot that no other has.
func (s *State) seat(n *node) {
	for slices.ContainsFunc(s.nodes.rows, func(other *node) bool { return other.address != n.address && other.slot == n.slot }) {
		n.slot++
	}
	s.loads.reserve(n.slot + 1)
}

func (s *State) owned(n *node) int { return s.loads.owned(n.slot) }

type nodeStatus uint64

const (
	nodeDeclared nodeStatus = iota // never joined
	nodeJoined
	nodeLeft
	nodeFailed
)

func (n nodeStatus) String() string {
	return [...]string{"declared", "joined", "left", "failed"}[n]
}

type namespace struct {
	name   string
	labels []event.Label
}

type service struct {
	key       ServiceKey
	created   uint64                // the sequence of the fact that created it: its place in the queue
	spec      *event.ServiceApplied // never written: records share it
	addresses []netip.Addr          // in the order of the families that it wants; none: waiting

	line string // derived: the line of the queue in which it stands; "" for none
}

// wants are the families of which the Service wants an address each.
func (v *service) wants() []string {
	if v.spec.FamilyPolicy == event.SingleStack {
		return v.spec.Families[:1]
	}
	return v.spec.Families
}

type endpoints struct {
	key    ServiceKey
	source string
	nodes  []string // names, sorted
}

type address struct {
	addr    netip.Addr
	pool    string        // that it was given from; it may have left it, or the pool be gone
	users   []ServiceKey  // in the order in which they came
	list    []Incarnation // owner, first standby, second standby
	version uint64        // the sequence of the fact that last changed the list

	terms // derived
}

// terms are what the users of an address have in common: those who share it have one sharing key and one traffic policy.
type terms struct {
	local   bool   // they follow their endpoints
	sharing string // the key; "" for one who does not share
}

func (v *service) terms() terms {
	return terms{local: v.spec.TrafficPolicy == event.TrafficLocal, sharing: v.spec.SharingKey}
}

func (s *State) pool(name string) (*pool, bool) {
	return s.pools.at(func(p *pool) int { return strings.Compare(p.name, name) })
}

func (s *State) node(address netip.Addr) (*node, bool) {
	return s.nodes.at(func(n *node) int { return n.address.Compare(address) })
}

func (s *State) service(key ServiceKey) (*service, bool) { return s.services.get(hashed(key)) }

func (s *State) addressOf(a netip.Addr) (*address, bool) {
	return s.addresses.get(a)
}
