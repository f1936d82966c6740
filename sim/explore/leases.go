package explore

import (
	"fmt"
	"net/netip"
	"slices"
	"time"

	"viplog/core/lease"
)

// leases is a world of one incarnation and some voters. Another node is always heard, so that no voter takes itself for away. A link holds the newest message
// only, for as long as it likes: that is loss, delay and reordering.
type leases struct {
	options  LeaseOptions
	now      time.Duration // true time
	holder   *lease.Holder
	wake     lease.Instant
	voters   []leaseVoter
	restarts int

	// At one instant messages arrive in the order of these phases, and in each by voter: other orders give the same world, or
	// one that a message which arrives at the next instant gives too.
	phase phase
	after int
}

type phase int

const (
	restarting phase = iota
	hearingRenewals
	hearingAnswers
	hearingWords
)

type leaseVoter struct {
	disk    lease.VoterDisk
	machine *lease.Voter
	wake    lease.Instant
	renew   *lease.Renew  // on its way to it
	answer  *lease.Answer // on its way from it
	words   []*lease.Word // on their way to it, by sender
}

// LeaseOptions is the size of a world of leases.
type LeaseOptions struct {
	Voters   int
	Restarts int  // of voters, in all
	Skewed   bool // clocks run as far apart as they may, the node's slow and the voters' fast; the states never recur then
	Timing   lease.Timing
}

const leaseLog = "explored"

var (
	leaseNode  = lease.Incarnation{Node: netip.AddrFrom4([4]byte{10, 0, 0, 1}), Join: 2}
	otherNode  = lease.Incarnation{Node: netip.AddrFrom4([4]byte{10, 0, 0, 2}), Join: 1}
	membership = func(voters int) lease.Membership {
		m := lease.Membership{Sequence: 2, Now: lease.VoterSet{Version: 1}, Live: []lease.Incarnation{leaseNode}}
		for i := range voters {
			m.Now.Voters = append(m.Now.Voters, voterName(i))
		}
		return m
	}
)

func voterName(i int) string { return string(rune('A' + i)) }

// Leases is a world in which the lemma is to hold: no incarnation is leased and proven dead at once.
func Leases(o LeaseOptions) World {
	w := &leases{options: o, now: time.Hour}
	for i := range o.Voters {
		w.voters = append(w.voters, leaseVoter{
			disk: lease.VoterDisk{Voter: voterName(i), Log: leaseLog}, words: make([]*lease.Word, o.Voters),
		})
	}
	for i := range w.voters {
		w.start(i)
	}
	w.holder = lease.NewHolder(leaseLog, leaseNode, 0, o.Timing, func(lease.Vote) bool { return true }, w.nodeClock())
	w.nodeDid(w.holder.Fold(w.nodeClock(), membership(o.Voters)))
	return w
}

func (w *leases) nodeClock() lease.Instant { return lease.Instant(w.now / 100 * w.options.rate(99)) }

func (w *leases) voterClock() lease.Instant { return lease.Instant(w.now / 100 * w.options.rate(101)) }

// rate is a clock's, in parts of a hundred.
func (o LeaseOptions) rate(skewed time.Duration) time.Duration {
	if o.Skewed {
		return skewed
	}
	return 100
}

// trueTime is the first multiple of 100 ns of true time at which a clock of that rate shows the instant.
func trueTime(i lease.Instant, rate time.Duration) time.Duration {
	return (time.Duration(i) + rate - 1) / rate * 100
}

func (w *leases) start(i int) {
	v := &w.voters[i]
	v.machine = lease.NewVoter(v.disk, w.options.Timing, func([]byte) []byte { return nil }, lease.VoterStart{
		Now: w.voterClock(), Serial: uint64(w.restarts) << 32,
	})
	w.voterDid(i, v.machine.Fold(w.voterClock(), membership(w.options.Voters), nil))
}

func (w *leases) voterDid(i int, ready lease.VoterReady) {
	v := &w.voters[i]
	v.wake = ready.Wake
	for _, a := range ready.Answers {
		if a.To == leaseNode {
			v.answer = &a
		}
	}
	if ready.Word != nil {
		for j := range w.voters {
			if j != i {
				w.voters[j].words[i] = ready.Word
			}
		}
	}
	if ready.Persist != nil {
		v.disk = *ready.Persist
		w.voterDid(i, v.machine.Persisted(w.voterClock(), v.disk))
	}
}

func (w *leases) nodeDid(ready lease.HolderReady) {
	w.wake = ready.Wake
	for _, r := range ready.Renewals {
		for i := range w.voters {
			if voterName(i) == r.Voter {
				w.voters[i].renew = &r.Renew
			}
		}
	}
}

func (w *leases) clone() *leases {
	c := *w
	c.holder = w.holder.Clone()
	c.voters = slices.Clone(w.voters)
	for i := range c.voters {
		c.voters[i].machine = w.voters[i].machine.Clone()
		c.voters[i].words = slices.Clone(w.voters[i].words)
	}
	return &c
}

// Steps implements World: everything that may happen at this instant, up to the next one. Worlds between two instants
// are looked at, and not remembered.
func (w *leases) Steps() []Step {
	var steps []Step
	var walk func(from *leases, name string)
	walk = func(from *leases, name string) {
		for _, s := range from.moments() {
			next := s.Do().(*leases)
			name := name + s.Name
			if next.now > from.now || next.Violation() != "" {
				steps = append(steps, Step{name, func() World { return next }})
				continue
			}
			walk(next, name+", ")
		}
	}
	walk(w, "")
	return steps
}

// moments lists what may happen next.
func (w *leases) moments() []Step {
	var steps []Step
	step := func(phase phase, i int, name string, do func(*leases)) {
		if phase < w.phase || phase == w.phase && i < w.after {
			return
		}
		steps = append(steps, Step{name, func() World {
			next := w.clone()
			next.phase, next.after = phase, i
			do(next)
			return next
		}})
	}
	for i := range w.voters {
		v, name := &w.voters[i], voterName(i)
		if v.renew != nil {
			step(hearingRenewals, i, fmt.Sprintf("%s hears renewal %d", name, v.renew.Number), func(w *leases) {
				m := *w.voters[i].renew
				w.voters[i].renew = nil
				w.voterDid(i, w.voters[i].machine.Renewed(w.voterClock(), m))
			})
		}
		if v.answer != nil {
			step(hearingAnswers, i, fmt.Sprintf("the node hears %s (granted: %t)", name, v.answer.Granted), func(w *leases) {
				a := *w.voters[i].answer
				w.voters[i].answer = nil
				w.nodeDid(w.holder.Answered(w.nodeClock(), a))
			})
		}
		for j, word := range v.words {
			if word != nil {
				step(hearingWords, i*len(w.voters)+j, fmt.Sprintf("%s hears %s's word", name, voterName(j)), func(w *leases) {
					word := *w.voters[i].words[j]
					w.voters[i].words[j] = nil
					w.voterDid(i, w.voters[i].machine.Heard(w.voterClock(), word))
				})
			}
		}
		if w.restarts < w.options.Restarts {
			step(restarting, i, name+" restarts", func(w *leases) {
				w.restarts++
				w.start(i)
			})
		}
	}
	if next, due := w.deadline(); due {
		step(hearingWords, 1<<30, "time passes", func(w *leases) { w.pass(next) })
	}
	return steps
}

// deadline is the next true time at which a machine wants to be woken.
func (w *leases) deadline() (time.Duration, bool) {
	next := time.Duration(1<<63 - 1)
	if w.wake != lease.Never {
		next = min(next, trueTime(w.wake, w.options.rate(99)))
	}
	for _, v := range w.voters {
		if v.wake != lease.Never {
			next = min(next, trueTime(v.wake, w.options.rate(101)))
		}
	}
	return max(next, w.now+100), next < 1<<63-1
}

// pass goes to a true time, lets every voter hear the other node, and wakes who is due.
func (w *leases) pass(to time.Duration) {
	w.now, w.phase, w.after = to, restarting, 0
	if w.wake <= w.nodeClock() {
		w.nodeDid(w.holder.Wake(w.nodeClock()))
	}
	for i := range w.voters {
		v := &w.voters[i]
		due := v.wake <= w.voterClock()
		ready := v.machine.Renewed(w.voterClock(), lease.Renew{Log: leaseLog, Set: 1, From: otherNode, Number: 1})
		w.voterDid(i, ready)
		if due {
			w.voterDid(i, v.machine.Wake(w.voterClock()))
		}
	}
}

// Describe implements World.
func (w *leases) Describe(c *lease.Canon) {
	c.Number(uint64(w.restarts))
	w.holder.Describe(c, w.nodeClock())
	c.Ahead(w.wake, w.nodeClock())
	for i, v := range w.voters {
		v.machine.Describe(c, w.voterClock())
		c.Flag(v.renew != nil)
		if v.renew != nil {
			v.renew.Describe(c, voterName(i))
		}
		c.Flag(v.answer != nil)
		if v.answer != nil {
			v.answer.Describe(c)
		}
		for _, word := range v.words {
			c.Flag(word != nil)
			if word != nil {
				word.Describe(c)
			}
		}
	}
}

// Violation implements World.
func (w *leases) Violation() string {
	votes := 0
	for _, v := range w.voters {
		if slices.Contains(v.disk.Dead, leaseNode) {
			votes++
		}
	}
	if votes > len(w.voters)/2 && w.holder.Until() > w.nodeClock() {
		return "an incarnation is leased and proven dead"
	}
	return ""
}
