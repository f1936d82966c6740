// Package forecast foretells from a ledger alone what follows when nodes die: it folds their deaths into a copy, as if
// they were proven, and reads who owns what then. Package sim holds it to what simulated clusters do.
package forecast

import (
	"cmp"
	"crypto/ed25519"
	"errors"
	"iter"
	"net/netip"
	"slices"
	"time"

	"viplog/core/event"
	"viplog/core/lease"
	"viplog/core/ledger"
)

// Forecast foretells failures of one ledger. Its cluster is taken to be at rest, with every voter there.
type Forecast struct {
	state  *ledger.State // takes every death for proven
	nodes  []ledger.NodeIdentity
	owners []ownership
	votes  []event.Vote // of every voter
	yields bool         // who holds no lease is silent
}

// ownership is an address in use and its owner; the zero address for none.
type ownership struct{ address, owner netip.Addr }

// Outcome is what follows from one failure.
type Outcome struct {
	Dead         []ledger.NodeIdentity // who dies at one time, in the order in which the log takes their deaths
	OrderMatters bool                  // deaths in the other order have another outcome
	Moves        []Move                // by address
	Dark         []Dark                // by address
	Loads        []Load                // of the nodes that run still, in the order of their addresses
	Voters       Voters
	Proven       bool // the deaths are proven: a majority of voters is left, and a node that they hear
}

// Move is an address that gets another owner. One that a waiting Service gets only now had none.
type Move struct{ Address, From, To netip.Addr }

// Dark is an address that had an owner, and that nobody answers for after the failure.
type Dark struct {
	Address, From netip.Addr
	Reason        string // "" for two deaths of which one alone has the same effect
}

// Load is how many addresses a node owns.
type Load struct {
	Node          ledger.NodeIdentity
	Before, After int
}

// Of makes the forecast of a ledger, which stays as it is.
func Of(s *ledger.State) (*Forecast, error) {
	f := &Forecast{state: s.Clone(), owners: ownersOf(s), yields: s.Settings().OnIsolation == event.OnIsolationYield}
	f.state.FoldAs(ledger.Binary{Rules: ledger.RulesKnown, Verify: func(ed25519.PublicKey, []byte, []byte) bool { return true }})
	voters, _ := s.Voters()
	for _, v := range voters {
		f.votes = append(f.votes, event.Vote{Voter: v.ID})
	}
	if len(f.votes) == 0 {
		return nil, ErrNoVoters
	}
	for _, n := range s.Nodes() {
		if n.Joined && n.Announces {
			f.nodes = append(f.nodes, n)
		}
	}
	return f, nil
}

// ErrNoVoters says that nothing can be foretold, because nothing would happen.
var ErrNoVoters = errors.New("forecast: the log names no voter: nobody could prove that a node is dead")

// Nodes are those that announce and run, in the order of their addresses.
func (f *Forecast) Nodes() []ledger.NodeIdentity { return f.nodes }

// BlackHole bounds for how long an address that moves in any failure is answered by nobody (lease.Timing.Suspicion). Its new
// owner needs a few milliseconds more, for the voters' disks, datagrams and the first frame: docs/figures.md has what was measured.
func (f *Forecast) BlackHole() (least, most time.Duration) {
	return lease.TimingOf(f.state.Settings().Profile).Suspicion()
}

// Failure foretells that nodes die at one time, and that the log takes their deaths in this order. Who does not run cannot die.
func (f *Forecast) Failure(dead ...netip.Addr) Outcome {
	after := f.state
	for _, a := range dead {
		after = f.without(after, a)
	}
	return f.outcome(after, dead, nil)
}

// Each foretells the failure of each node, and then of each two at one time: once if both orders have one outcome, else twice.
func (f *Forecast) Each() iter.Seq[Outcome] {
	return func(yield func(Outcome) bool) {
		alone := make([]*ledger.State, len(f.nodes))
		singles := make([]Outcome, len(f.nodes))
		for i, n := range f.nodes {
			alone[i] = f.without(f.state, n.Address)
			singles[i] = f.outcome(alone[i], []netip.Addr{n.Address}, nil)
			if !yield(singles[i]) {
				return
			}
		}
		for i, a := range f.nodes {
			for j := i + 1; j < len(f.nodes); j++ {
				b := f.nodes[j].Address
				known := []Outcome{singles[i], singles[j]}
				first := f.outcome(f.without(alone[i], b), []netip.Addr{a.Address, b}, known)
				second := f.outcome(f.without(alone[j], a.Address), []netip.Addr{b, a.Address}, known)
				first.OrderMatters = !slices.Equal(first.Moves, second.Moves) || !slices.Equal(first.Dark, second.Dark)
				second.OrderMatters = first.OrderMatters
				if !yield(first) || second.OrderMatters && !yield(second) {
					return
				}
			}
		}
	}
}

// Failures is how many failures Each foretells, two orders counted as one.
func (f *Forecast) Failures() int { return len(f.nodes) * (len(f.nodes) + 1) / 2 }

// without is a ledger in which a node that runs is proven dead.
func (f *Forecast) without(s *ledger.State, dead netip.Addr) *ledger.State {
	after := s.Clone()
	if who, _, runs := after.Running(dead); runs {
		_, set := after.Voters()
		death := event.NodeFailed{Address: dead, Incarnation: who.Join, Set: set, Votes: f.votes}
		after.Apply(death, after.Sequence()+1, after.TimeNanos())
	}
	return after
}

// outcome compares the ledger after deaths with the one before.
func (f *Forecast) outcome(after *ledger.State, dead []netip.Addr, known []Outcome) Outcome {
	o := Outcome{Voters: f.votersWithout(dead)}
	o.Proven = o.Voters.Majority && f.isHeard(dead)
	for _, a := range dead {
		if i := slices.IndexFunc(f.nodes, func(n ledger.NodeIdentity) bool { return n.Address == a }); i >= 0 {
			o.Dead = append(o.Dead, f.nodes[i])
		}
	}
	owners := f.owners
	if o.Proven {
		owners = ownersOf(after)
	}
	for _, now := range owners {
		before := f.ownerOf(now.address)
		died := slices.Contains(dead, before)
		switch {
		case !o.Proven && before.IsValid() && (died || f.yields):
			o.Dark = append(o.Dark, Dark{now.address, before, o.Voters.why(died)})
		case now.owner == before:
		case now.owner.IsValid():
			o.Moves = append(o.Moves, Move{now.address, before, now.owner})
		case !slices.ContainsFunc(known, func(k Outcome) bool { return k.darkens(now.address) }):
			o.Dark = append(o.Dark, Dark{now.address, before, after.WhyUnowned(now.address)})
		default:
			o.Dark = append(o.Dark, Dark{now.address, before, ""})
		}
	}
	o.Loads = f.loads(owners, dead)
	if !o.Proven && f.yields {
		for i := range o.Loads {
			o.Loads[i].After = 0
		}
	}
	return o
}

func (o Outcome) darkens(a netip.Addr) bool {
	_, found := slices.BinarySearchFunc(o.Dark, a, func(d Dark, a netip.Addr) int { return d.Address.Compare(a) })
	return found
}

// Heaviest is the node that owns most of the addresses after the failure, the first one among equals; false if no node is left.
func (o Outcome) Heaviest() (Load, bool) {
	if len(o.Loads) == 0 {
		return Load{}, false
	}
	return slices.MaxFunc(o.Loads, func(a, b Load) int { return cmp.Compare(a.After, b.After) }), true
}

func (f *Forecast) loads(owners []ownership, dead []netip.Addr) []Load {
	loads := make([]Load, 0, len(f.nodes))
	at := make(map[netip.Addr]int, len(f.nodes))
	for _, n := range f.nodes {
		if !slices.Contains(dead, n.Address) {
			at[n.Address] = len(loads)
			loads = append(loads, Load{Node: n})
		}
	}
	for _, o := range f.owners {
		if i, ok := at[o.owner]; ok {
			loads[i].Before++
		}
	}
	for _, o := range owners {
		if i, ok := at[o.owner]; ok {
			loads[i].After++
		}
	}
	return loads
}

func (f *Forecast) ownerOf(a netip.Addr) netip.Addr {
	i, found := slices.BinarySearchFunc(f.owners, a, func(o ownership, a netip.Addr) int { return o.address.Compare(a) })
	if !found {
		return netip.Addr{}
	}
	return f.owners[i].owner
}

// ownersOf reads who owns which address, in the order of the addresses.
func ownersOf(s *ledger.State) (all []ownership) {
	s.EachList(func(a netip.Addr, list []ledger.Incarnation) {
		o := ownership{address: a}
		if len(list) > 0 {
			o.owner = list[0].Node
		}
		all = append(all, o)
	})
	return all
}
