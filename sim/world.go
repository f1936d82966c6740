// Package sim runs whole clusters on one goroutine and a virtual clock: the production machines of nodes, voters and
// controllers, on simulated disks, clocks, networks, an L2 segment with clients, and a log. Auditors watch what is on the
// wire.
package sim

import (
	"crypto/ed25519"
	"crypto/sha256"
	"fmt"
	"net/netip"
	"time"

	"viplog/core/event"
	"viplog/core/lease"
	"viplog/core/ledger"
	"viplog/core/trace"
	"viplog/sim/kernel"
	"viplog/sim/segment"
	"viplog/sim/stream"
)

// Options is the size and the nature of a world.
type Options struct {
	Nodes   int        // load-balancer nodes: lb-1, lb-2 …
	Voters  int        // on control-plane hosts: cp-1, cp-2 …, each with a controller
	Hosts   []HostSpec // instead of those
	Past    *Past      // the log that the world goes on from, with its hosts; nil: it begins with an empty one
	Log     Log        // a real one, in which the cluster is declared already; nil: a simulated one
	Epoch   time.Time  // the time at the world's start
	Clients int
	Rules   *uint64 // that the programs of all hosts know; nil: all there are
	Pool    string  // addresses
	Timing  lease.Timing
	Yield   bool         // onIsolation
	Drift   bool         // clocks run at rates of their own, and not together
	Disk    stream.Range // how long a sync takes
	Link    stream.Range // how long a datagram takes
	Digests uint64       // facts between two digests of a ledger; 0: lease.DigestEvery
	Notes   func(trace.Record)
}

// HostSpec is a host of a world.
type HostSpec struct {
	Name                    string
	Address                 netip.Addr
	Node, Voter, Controller bool               // its roles
	Prefixes                []netip.Prefix     // of a node's interface
	Key                     ed25519.PrivateKey // its identity
	VoterID                 string
	Interfaces              []event.Interface // as a recorded log has them; nil: one
	Off                     bool              // it has no power at the start
}

// Defaults fills in what is zero.
func (o Options) Defaults() Options {
	set := func(n *int, to int) {
		if *n == 0 {
			*n = to
		}
	}
	set(&o.Nodes, 3)
	set(&o.Voters, 3)
	if o.Pool == "" {
		o.Pool = "192.0.2.0/28"
	}
	if o.Timing == (lease.Timing{}) {
		o.Timing = lease.Default
	}
	if o.Digests == 0 {
		o.Digests = lease.DigestEvery
	}
	if o.Disk == (stream.Range{}) {
		o.Disk = stream.Range{From: 200 * time.Microsecond, To: 2 * time.Millisecond}
	}
	if o.Link == (stream.Range{}) {
		o.Link = stream.Range{From: 50 * time.Microsecond, To: 400 * time.Microsecond}
	}
	if o.Epoch.IsZero() {
		o.Epoch = stream.Epoch
	}
	if o.Past != nil {
		o.Hosts, o.Epoch = o.Past.Hosts(), o.Past.after()
	}
	if o.Hosts == nil {
		o.Hosts = o.plainHosts()
	}
	return o
}

func (o Options) rulesKnown() uint64 {
	if o.Rules == nil {
		return ledger.RulesKnown
	}
	return *o.Rules
}

// plainHosts are so many control-plane hosts and so many load-balancer nodes.
func (o Options) plainHosts() (hosts []HostSpec) {
	for i := range o.Voters {
		hosts = append(hosts, HostSpec{
			Name: fmt.Sprintf("cp-%d", i+1), Address: netip.AddrFrom4([4]byte{10, 0, 0, byte(2 + i)}), Voter: true, Controller: true,
			VoterID: fmt.Sprintf("voter-cp-%d", i+1),
		})
	}
	pool := netip.MustParsePrefix(o.Pool)
	for i := range o.Nodes {
		hosts = append(hosts, HostSpec{
			Name: fmt.Sprintf("lb-%d", i+1), Address: netip.AddrFrom4([4]byte{10, 0, 1, byte(1 + i)}), Node: true,
			Prefixes: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/16"), pool.Masked()},
		})
	}
	for i := range hosts {
		seed := sha256.Sum256([]byte("the key of " + hosts[i].Name))
		hosts[i].Key = ed25519.NewKeyFromSeed(seed[:])
	}
	return hosts
}

// World is a simulated cluster.
type World struct {
	*kernel.Kernel
	Stream  *stream.Stream // nil on a real log
	Segment *segment.Segment
	Hosts   []*Host
	Clients []*segment.Client
	Audit   *Audit
	Broken  []string // which assumptions of what is promised do not hold any more

	options    Options
	snapshot   *ledger.State // that replicas begin with when what is before it was purged; nil: none was
	signatures signatures
	log        Log
	network    network
	operator   *proposer
	records    uint64
	hash       [sha256.Size]byte // of the trace so far
}

// New makes a world at time 0: the cluster is declared, and every process has started.
func New(c kernel.Chooser, o Options) *World {
	w := &World{Kernel: kernel.New(c), options: o.Defaults(), signatures: signatures{valid: map[string]bool{}}}
	if w.log = w.options.Log; w.log == nil {
		w.Stream = stream.New(w.Kernel)
		w.Stream.Epoch = w.options.Epoch
		if past := w.options.Past; past != nil {
			w.Stream.Load(past.Ledger.LogID(), past.Entries)
		}
		w.log = simulated{w.Stream}
	}
	w.Segment = segment.New(w.Kernel, segment.Options{})
	w.network.world, w.network.sender = w, map[netip.Addr]*Host{}
	for _, spec := range w.options.Hosts {
		w.addHost(spec)
	}
	w.Audit = newAudit(w)
	for i := range w.options.Clients {
		mac := segment.MAC(0x02_00_00_00_c1_00) + segment.MAC(i)
		client := segment.NewClient(w.Segment, fmt.Sprintf("client-%d", i+1), mac,
			netip.AddrFrom4([4]byte{10, 0, 2, byte(1 + i)}), w.clientIPv6(i), segment.Linux())
		client.Report = func(o segment.Outcome) { w.Audit.outcome(client, o) }
		w.Clients = append(w.Clients, client)
	}
	w.operator = newProposer(w, w.log.Connect("operator"), "operator")
	switch {
	case w.options.Past != nil:
		w.resume(w.options.Past)
	case w.Stream != nil:
		w.declare()
		for w.Stream.Head().Last == 0 {
			w.Step()
		}
	}
	for i, h := range w.Hosts {
		if !w.options.Hosts[i].Off {
			w.powerOn(h)
		}
	}
	return w
}

// clientIPv6 is a client's IPv6 address, which none has in a world without such VIPs.
func (w *World) clientIPv6(i int) netip.Addr {
	if w.options.Past == nil || !w.options.Past.hasIPv6() {
		return netip.Addr{}
	}
	return netip.AddrFrom16([16]byte{0xfd, 15: byte(1 + i)})
}

func (w *World) addHost(spec HostSpec) {
	h := &Host{
		Name: spec.Name, Address: spec.Address, world: w, declared: spec.Name, machineID: "machine-" + spec.Name, rules: w.options.rulesKnown(), clock: clock{rate: clockParts}, prefixes: spec.Prefixes, key: spec.Key,
		role: roles{spec.Node, spec.Voter, spec.Controller}, voterDisk: lease.VoterDisk{Voter: spec.VoterID},
	}
	if spec.Key != nil {
		h.public = spec.Key.Public().(ed25519.PublicKey)
	}
	if w.options.Drift {
		h.clock.rate += int64(w.Pick("drift/"+h.Name, 201)) - 100
		h.clock.offset = w.between("drift/"+h.Name, stream.Range{To: time.Hour})
	}
	if h.role.node {
		mac := segment.MAC(0x02_00_00_00_01_00) + segment.MAC(len(w.Hosts))
		if len(spec.Interfaces) > 0 {
			h.recorded = spec.Interfaces
			if recorded, err := segment.ParseMAC(spec.Interfaces[0].MAC); err == nil {
				mac = recorded
			}
		}
		h.port = w.Segment.Attach(&segment.Port{Name: h.Name, MAC: mac, Receive: h.receive, Carrier: h.carrier})
	}
	w.Hosts = append(w.Hosts, h)
}

// declare appends the first facts: the cluster file's and the voters.
func (w *World) declare() {
	cluster := event.ClusterConfigured{
		Name: "sim", ClusterType: "user", ControlPlaneLBPort: 443, ControlPlaneVIP: netip.MustParseAddr("10.0.0.254"),
		ServiceCIDRs: []netip.Prefix{netip.MustParsePrefix("10.96.0.0/20")},
	}
	for _, h := range w.Hosts {
		if h.undeclared || h.clone {
			continue
		}
		role := event.RoleControlPlane
		if h.role.node {
			role = event.RoleLoadBalancer
		}
		cluster.Nodes = append(cluster.Nodes, event.DeclaredNode{Address: h.Address, Role: role})
	}
	settings := event.DefaultSettings()
	if w.options.Yield {
		settings.OnIsolation = event.OnIsolationYield
	}
	facts := []event.Event{cluster, settings, event.PoolAdded{Pool: event.Pool{Name: "pool", Addresses: []string{w.options.Pool}}}}
	first := true
	for _, h := range w.Hosts {
		if !h.role.voter {
			continue
		}
		facts = append(facts, event.VoterAdded{ID: h.voterDisk.Voter, Address: h.Address, Key: h.public})
		if !first { // voters change one at a time; nobody is there yet who would have to apply the change
			facts = append(facts, event.VotersSettled{Set: uint64(len(facts))})
		}
		first = false
	}
	w.operator.batch(facts)
}

// Append lets the operator append facts, one after the other, however long that takes.
func (w *World) Append(facts ...event.Event) { w.operator.add(facts...) }

// Host finds a host by its name; nil if there is none.
func (w *World) Host(name string) *Host {
	for _, h := range w.Hosts {
		if h.Name == name {
			return h
		}
	}
	return nil
}

// between draws a duration.
func (w *World) between(stream string, r stream.Range) time.Duration {
	return kernel.Between(w.Kernel, stream, r.From, r.To)
}

// tell adds to the trace.
func (w *World) tell(actor string, n trace.Note) {
	record := trace.Record{At: w.Now(), Actor: actor, Note: n}
	w.records++
	w.hash = sha256.Sum256(append(w.hash[:], record.JSON()...))
	if w.options.Notes != nil {
		w.options.Notes(record)
	}
}

// TraceHash tells two runs apart: it is a function of everything that was noted and of how much happened.
func (w *World) TraceHash() string {
	sum := sha256.Sum256(fmt.Appendf(w.hash[:], "%d %d", w.Happened(), w.Now()))
	return fmt.Sprintf("%x", sum[:8])
}

// Ledger is what all facts stored so far add up to.
func (w *World) Ledger() *ledger.State { return w.Audit.ledger }
