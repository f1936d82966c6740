package lease

import (
	"container/heap"
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	"viplog/core/event"
)

const testLog = "2026-01-01T00:00:00Z"

// A signature of these tests is a hash of voter and message: enough to tell a vote that its voter did not cast.
func signer(voter string) func([]byte) []byte {
	return func(message []byte) []byte {
		sum := sha256.Sum256(append([]byte(voter+"\x00"), message...))
		return sum[:]
	}
}

func signedByItsVoter(v Vote) bool {
	message := event.VoteMessage(testLog, v.Dead.Node, v.Dead.Join, v.Set)
	return slices.Equal(v.Signature, signer(v.Voter)(message))
}

// world runs voters and nodes on true time, with clocks of their own, and links that lose, delay, double and reorder.
type world struct {
	random  *rand.Rand
	timing  Timing
	now     time.Duration // true time
	queue   events
	count   uint64
	voters  []*hostedVoter
	nodes   []*hostedNode
	members Membership // of the log's head
	lossy   int        // per cent
	slow    time.Duration
	cut     map[[2]string]bool // one-way
}

type hostedVoter struct {
	id      string
	disk    VoterDisk
	clock   clock
	machine *Voter // nil: down
	wake    uint64
}

type hostedNode struct {
	name    string
	clock   clock
	who     Incarnation
	machine *Holder // nil: down
	wake    uint64
}

// clock is off by a constant and by at most one part in a hundred.
type clock struct {
	offset time.Duration
	rate   int64 // parts in ten thousand: 9,900 to 10,100
}

func (c clock) at(t time.Duration) Instant {
	return Instant(c.offset) + Instant(int64(t)/10_000*c.rate)
}

// when is the first true time at which the clock shows the instant.
func (c clock) when(i Instant) time.Duration {
	return time.Duration((int64(i)-int64(c.offset))/c.rate+1) * 10_000
}

type occurrence struct {
	at     time.Duration
	number uint64
	do     func()
}

type events []occurrence

func (e events) Len() int { return len(e) }
func (e events) Less(i, j int) bool {
	return e[i].at < e[j].at || e[i].at == e[j].at && e[i].number < e[j].number
}
func (e events) Swap(i, j int) { e[i], e[j] = e[j], e[i] }
func (e *events) Push(x any)   { *e = append(*e, x.(occurrence)) }
func (e *events) Pop() any {
	last := (*e)[len(*e)-1]
	*e = (*e)[:len(*e)-1]
	return last
}

func newWorld(seed uint64, timing Timing, voters, nodes int) *world {
	w := &world{random: rand.New(rand.NewPCG(seed, 1)), timing: timing, cut: map[[2]string]bool{}, slow: time.Millisecond}
	drift := func() clock {
		return clock{time.Duration(w.random.Int64N(int64(time.Hour))), 9_900 + w.random.Int64N(201)}
	}
	w.members = Membership{Sequence: 1, Now: VoterSet{Version: 1}}
	for i := range voters {
		id := fmt.Sprint("v", i+1)
		w.members.Now.Voters = append(w.members.Now.Voters, id)
		w.voters = append(w.voters, &hostedVoter{id: id, disk: VoterDisk{Voter: id, Log: testLog}, clock: drift()})
	}
	for i := range nodes {
		w.nodes = append(w.nodes, &hostedNode{name: fmt.Sprint("n", i+1), clock: drift()})
	}
	for _, v := range w.voters {
		w.startVoter(v)
	}
	for i := range w.nodes {
		w.join(i)
	}
	return w
}

func (w *world) after(d time.Duration, do func()) {
	w.count++
	heap.Push(&w.queue, occurrence{w.now + d, w.count, do})
}

func (w *world) run(until time.Duration) {
	for len(w.queue) > 0 && w.queue[0].at <= until {
		next := heap.Pop(&w.queue).(occurrence)
		w.now = next.at
		next.do()
	}
	w.now = until
}

// send delivers a message on a link: lost, late, or twice.
func (w *world) send(from, to string, deliver func()) {
	for range 1 + w.random.IntN(10)/9 {
		if w.random.IntN(100) < w.lossy || w.cut[[2]string{from, to}] {
			continue
		}
		w.after(time.Duration(w.random.Int64N(int64(w.slow))), deliver)
	}
}

func (w *world) startVoter(v *hostedVoter) {
	v.machine = NewVoter(v.disk, w.timing, signer(v.id), VoterStart{Now: v.clock.at(w.now), Serial: w.random.Uint64() >> 1})
	w.voterDid(v, v.machine.Fold(v.clock.at(w.now), w.members, nil))
}

// store makes a disk durable, sooner or later: not at all if the voter dies before.
func (w *world) store(v *hostedVoter, disk VoterDisk) {
	machine := v.machine
	w.after(time.Duration(w.random.Int64N(int64(w.slow))), func() {
		if v.machine == machine {
			v.disk = disk
			w.voterDid(v, machine.Persisted(v.clock.at(w.now), disk))
		}
	})
}

func (w *world) voterDid(v *hostedVoter, ready VoterReady) {
	if ready.Persist != nil {
		w.store(v, *ready.Persist)
	}
	for _, a := range ready.Answers {
		for _, n := range w.nodes {
			if n.who.Node == a.To.Node {
				w.send(v.id, n.name, func() {
					if n.machine != nil {
						w.nodeDid(n, n.machine.Answered(n.clock.at(w.now), a))
					}
				})
			}
		}
	}
	if ready.Word != nil {
		word := *ready.Word
		for _, other := range w.voters {
			if other != v {
				w.send(v.id, other.id, func() {
					if other.machine != nil {
						w.voterDid(other, other.machine.Heard(other.clock.at(w.now), word))
					}
				})
			}
		}
		w.controllerHeard(word)
	}
	v.wake++
	if wake := v.wake; ready.Wake != Never {
		w.after(max(0, v.clock.when(ready.Wake)-w.now), func() {
			if v.machine != nil && v.wake == wake {
				w.voterDid(v, v.machine.Wake(v.clock.at(w.now)))
			}
		})
	}
}

// controllerHeard is the controller and the log: a death is appended once the words prove it. Here the log is
// instant, and votes are taken from the disks of those who cast them.
func (w *world) controllerHeard(Word) {
	for _, who := range slices.Clone(w.members.Live) {
		if w.isProven(who) && w.random.IntN(4) == 0 {
			w.append(func(m *Membership) {
				m.Live = slices.DeleteFunc(m.Live, func(i Incarnation) bool { return i == who })
			})
		}
	}
}

func (w *world) append(change func(*Membership)) {
	w.members.Live = slices.Clone(w.members.Live)
	w.members.Sequence++
	change(&w.members)
	members := w.members
	for _, v := range w.voters {
		w.after(time.Duration(w.random.Int64N(int64(50*time.Millisecond))), func() {
			if v.machine != nil && members.Sequence > v.machine.membership.Sequence {
				w.voterDid(v, v.machine.Fold(v.clock.at(w.now), members, nil))
			}
		})
	}
	for _, n := range w.nodes {
		w.after(time.Duration(w.random.Int64N(int64(50*time.Millisecond))), func() {
			if n.machine != nil && members.Sequence > n.machine.membership.Sequence {
				w.nodeDid(n, n.machine.Fold(n.clock.at(w.now), members))
			}
		})
	}
}

func (w *world) join(i int) {
	n := w.nodes[i]
	n.who = Incarnation{Node: netip.AddrFrom4([4]byte{10, 0, 0, byte(10 + i)}), Join: w.members.Sequence + 1}
	who := n.who
	w.append(func(m *Membership) {
		m.Live = append(m.Live, who)
		slices.SortFunc(m.Live, Incarnation.Compare)
	})
	n.machine = NewHolder(testLog, n.who, 0, w.timing, signedByItsVoter, n.clock.at(w.now))
	w.nodeDid(n, n.machine.Fold(n.clock.at(w.now), w.members))
}

func (w *world) nodeDid(n *hostedNode, ready HolderReady) {
	for _, r := range ready.Renewals {
		for _, v := range w.voters {
			if v.id == r.Voter {
				w.send(n.name, v.id, func() {
					if v.machine != nil {
						w.voterDid(v, v.machine.Renewed(v.clock.at(w.now), r.Renew))
					}
				})
			}
		}
	}
	if ready.Resign != nil {
		resign := *ready.Resign
		for _, v := range w.voters {
			w.send(n.name, v.id, func() {
				if v.machine != nil {
					w.voterDid(v, v.machine.Resigned(v.clock.at(w.now), resign))
				}
			})
		}
	}
	n.wake++
	if wake := n.wake; ready.Wake != Never {
		w.after(max(0, n.clock.when(ready.Wake)-w.now), func() {
			if n.machine != nil && n.wake == wake {
				w.nodeDid(n, n.machine.Wake(n.clock.at(w.now)))
			}
		})
	}
}

func (w *world) isLeased(n *hostedNode) bool {
	return n.machine != nil && n.machine.Until() > n.clock.at(w.now)
}

// isProven tells whether a majority's disks hold a vote against an incarnation.
func (w *world) isProven(who Incarnation) bool {
	n := 0
	for _, v := range w.voters {
		if slices.Contains(v.disk.Dead, who) {
			n++
		}
	}
	return n >= w.members.Now.majority()
}

func TestANodeIsLeasedWithinTwoRoundsAndItsDeathIsProvenWithinThePromise(t *testing.T) {
	for _, timing := range []Timing{Fast, Default, Relaxed} {
		w := newWorld(1, timing, 3, 2)
		w.run(3 * timing.Heartbeat)
		for _, n := range w.nodes {
			if !w.isLeased(n) {
				t.Fatalf("%s has no lease after three heartbeats of %s", n.name, timing.Heartbeat)
			}
		}
		w.run(10 * timing.Lease)
		died, dead := w.now, w.nodes[0].who
		w.nodes[0].machine = nil
		for !w.isProven(dead) && w.now < died+10*timing.Lease {
			w.run(w.now + time.Millisecond)
		}
		took := w.now - died
		if limit := timing.promised() + timing.promised()/50 + timing.Heartbeat + 10*time.Millisecond; took > limit || took < timing.Lease/2 {
			t.Errorf("proven dead after %s, want at most %s", took, limit)
		}
		if !w.isLeased(w.nodes[1]) {
			t.Error("the other node lost its lease")
		}
		t.Logf("H %s, T %s: proven dead %s after its last instant", timing.Heartbeat, timing.Lease, took)
	}
}

// The lemma: no incarnation is leased and proven dead at once, whatever links, hosts and clocks do.
func TestNoIncarnationIsLeasedAndProvenDeadAtOnce(t *testing.T) {
	const seeds, length = 150, 30 * time.Second
	deaths, leases, resigned := 0, 0, 0
	for seed := range uint64(seeds) {
		w := newWorld(seed, Default, []int{1, 3, 5}[seed%3], 3)
		for w.now < length {
			w.run(w.now + time.Duration(w.random.Int64N(int64(20*time.Millisecond))))
			for _, n := range w.nodes {
				if w.isLeased(n) {
					leases++
					if w.isProven(n.who) {
						t.Fatalf("seed %d at %s: %s is leased and proven dead", seed, w.now, n.name)
					}
				}
				if n.machine != nil && (n.machine.HasResigned() || n.machine.IsVotedAgainst() && w.random.IntN(20) == 0) {
					resigned++
					w.join(slices.Index(w.nodes, n))
				}
			}
			deaths += w.shake()
		}
	}
	t.Logf("%d leased observations, %d deaths, %d rejoined after a vote", leases, deaths, resigned)
	if deaths < seeds || resigned == 0 {
		t.Errorf("%d deaths and %d rejoins are too few to show anything", deaths, resigned)
	}
}

// shake makes trouble now and then.
func (w *world) shake() (deaths int) {
	node, voter := w.random.IntN(len(w.nodes)), w.voters[w.random.IntN(len(w.voters))]
	link := [2]string{w.nodes[node].name, voter.id}
	if w.random.IntN(2) == 0 {
		link[0], link[1] = link[1], link[0]
	}
	switch w.random.IntN(120) {
	case 0:
		if n := w.nodes[node]; n.machine != nil {
			if n.machine = nil; w.isProven(n.who) {
				deaths++
			}
		} else {
			deaths++
			w.join(node)
		}
	case 1:
		voter.machine = nil
	case 2, 3, 4:
		for _, v := range w.voters {
			if v.machine == nil {
				w.startVoter(v)
			}
		}
	case 5:
		w.cut[link] = true
	case 6, 7:
		clear(w.cut)
	case 8:
		w.lossy = w.random.IntN(60)
	case 9:
		w.slow = time.Duration(1 + w.random.Int64N(int64(400*time.Millisecond)))
	case 10:
		w.lossy, w.slow = 0, time.Millisecond
	case 11: // everyone who is asleep wakes late: the queue stands still
		pause := time.Duration(w.random.Int64N(int64(time.Second)))
		for i := range w.queue {
			w.queue[i].at = max(w.queue[i].at, w.now+pause)
		}
		heap.Init(&w.queue)
	}
	return deaths
}
