package sim

import (
	"fmt"
	"time"

	"viplog/core/event"
	"viplog/sim/kernel"
	"viplog/sim/segment"
	"viplog/sim/stream"
)

// Nemesis is a kind of trouble: it happens at once, and may end later by itself.
type Nemesis struct {
	Name string
	Do   func(w *World)
}

// Nemeses are all kinds of trouble that a random run may have.
var Nemeses = []Nemesis{
	{"power off a node", func(w *World) { w.offAndOn(w.pickHost("node")) }},
	{"power off a voter", func(w *World) { w.offAndOn(w.pickHost("voter")) }},
	{"crash an agent", func(w *World) {
		h := w.pickHost("node")
		w.CrashAgent(h)
		w.later(func() { w.StartAgent(h) })
	}},
	{"crash a voter", func(w *World) {
		h := w.pickHost("voter")
		w.CrashVoter(h)
		w.later(func() { w.StartVoter(h) })
	}},
	{"freeze a node", func(w *World) { w.Freeze(w.pickHost("node"), w.spell()) }},
	{"freeze a voter", func(w *World) { w.Freeze(w.pickHost("voter"), w.spell()) }},
	{"cut one way", func(w *World) {
		from, to := w.pickHost(""), w.pickHost("")
		w.Cut(from, to)
		w.later(func() { w.Mend(from, to) })
	}},
	{"isolate a host", func(w *World) {
		h := w.pickHost("")
		w.Isolate(h)
		w.later(func() { w.Rejoin(h) })
	}},
	{"cut a host from the log", func(w *World) {
		h := w.pickHost("")
		w.CutLog(h)
		w.later(func() { w.MendLog(h) })
	}},
	{"the log has no leader", func(w *World) {
		w.fault("log", "has no leader")
		w.Stream.LeaderGone(w.between("nemesis", stream.Range{From: time.Second, To: 10 * time.Second}))
	}},
	{"a follower hangs", func(w *World) {
		h := w.pickHost("")
		w.fault(h.Name, "its followers of the log hang")
		for _, name := range h.logClients() {
			w.Stream.Hang(name, w.between("nemesis", stream.Range{From: 100 * time.Millisecond, To: 12 * time.Second}))
		}
	}},
	{"a follower lags", func(w *World) {
		h := w.pickHost("")
		w.fault(h.Name, "its followers of the log lag")
		for _, name := range h.logClients() {
			w.Stream.Lag(name, w.between("nemesis", stream.Range{From: time.Millisecond, To: time.Second}))
		}
		w.later(func() {
			for _, name := range h.logClients() {
				w.Stream.Lag(name, 0)
			}
		})
	}},
	{"a connection to the log is reset", func(w *World) {
		for _, name := range w.pickHost("").logClients() {
			w.Stream.Reset(name)
		}
	}},
	{"the log's network is bad", func(w *World) {
		w.fault("log", "its network is bad")
		w.Stream.Chances = stream.Chances{OneInLosesRequest: 5, OneInLosesAck: 5, OneInLosesPush: 5, OneInDuplicates: 5, OneInStale: 5}
		w.later(func() { w.Stream.Chances = stream.Chances{} })
	}},
	{"datagrams get lost", func(w *World) {
		w.fault("network", "loses and doubles datagrams")
		w.network.LoseOneIn, w.network.TwiceIn = 2+w.Pick("nemesis", 10), 5
		w.later(func() { w.network.LoseOneIn, w.network.TwiceIn = 0, 0 })
	}},
	{"a link loses its carrier", func(w *World) {
		h := w.pickHost("node")
		w.fault(h.Name, "its link is down")
		h.port.SetCarrier(false)
		w.later(func() {
			if h.up {
				h.port.SetCarrier(true)
			}
		})
	}},
	{"a link loses frames", func(w *World) {
		h := w.pickHost("node")
		w.fault(h.Name, "its link loses frames")
		h.port.Cut([]segment.Direction{segment.Sent, segment.Received, segment.Both}[w.Pick("nemesis", 3)])
		w.later(func() { h.port.Cut(0) })
	}},
	{"a node leaves and returns", func(w *World) {
		h := w.pickHost("node")
		w.Leave(h)
		w.later(func() { w.StartAgent(h) })
	}},
	{"drain a node", func(w *World) {
		h := w.pickHost("node")
		w.Append(event.NodeDrained{Address: h.Address})
		w.later(func() { w.Append(event.NodeUndrained{Address: h.Address}) })
	}},
	{"rebalance", func(w *World) { w.Append(event.RebalanceRequested{Reason: event.RebalanceByOperator}) }},
	{"a Service comes and goes", func(w *World) {
		w.services++
		name := fmt.Sprint("brief-", w.services)
		w.Append(Service(name))
		w.later(func() { w.Append(event.ServiceDeleted{Namespace: "default", Name: name, Source: "sim"}) })
	}},
	{"a voter is replaced", func(w *World) { w.ReplaceVoter(w.pickHost("voter")) }},
}

// Service is a plain Service of a world.
func Service(name string) event.ServiceApplied {
	return event.ServiceApplied{
		Namespace: "default", Name: name, Source: "sim", UID: name, Families: []string{event.FamilyIPv4},
		FamilyPolicy: event.SingleStack, TrafficPolicy: event.TrafficCluster, Ports: []event.Port{{Protocol: "TCP", Port: 80}},
	}
}

func (w *World) pickHost(role string) *Host {
	var all []*Host
	for _, h := range w.Hosts {
		if role == "" || role == "node" && h.role.node || role == "voter" && h.role.voter {
			all = append(all, h)
		}
	}
	return all[w.Pick("nemesis/host", len(all))]
}

// spell is how long a trouble lasts: short ones are as likely as long ones.
func (w *World) spell() time.Duration {
	longest := []time.Duration{100 * time.Millisecond, time.Second, 5 * time.Second, 20 * time.Second}[w.Pick("nemesis", 4)]
	return w.between("nemesis", stream.Range{From: time.Millisecond, To: longest})
}

func (w *World) later(do func()) { w.After(w.spell(), do) }

func (w *World) offAndOn(h *Host) {
	w.PowerOff(h)
	w.later(func() { w.PowerOn(h) })
}

// Campaign is a random run: trouble for a while, then all is healed and must come to rest.
type Campaign struct {
	Options
	Seed     uint64
	Services int
	Trouble  time.Duration // how long
}

// Verdict is how a run has ended.
type Verdict string

// Verdicts.
const (
	OK           Verdict = "ok"
	Violates     Verdict = "violated"
	Inconclusive Verdict = "inconclusive"
	OutOfBudget  Verdict = "out of budget"
)

// Result is what a run has shown.
type Result struct {
	Verdict    Verdict
	Why        string
	Violations []Violation
	Virtual    time.Duration
	Events     uint64
	TraceHash  string
	Moves      int
	Overlap    time.Duration
}

// calm is how long a healed world may take to come to rest: a node that died often waits up to a minute to rejoin.
const calm = 150 * time.Second

// Run runs it.
func (c Campaign) Run() Result {
	w := New(kernel.NewSeeded(c.Seed), c.Options)
	w.RunUntil(2 * time.Second)
	for i := range c.Services {
		w.Append(Service(fmt.Sprint("web-", i)))
	}
	var kinds []Nemesis // of this run: what is left out matters as much (swarm testing, Groce et al. 2012)
	for _, n := range Nemeses {
		if w.Pick("nemesis/kinds", 2) == 1 {
			kinds = append(kinds, n)
		}
	}
	pace := []time.Duration{200 * time.Millisecond, time.Second, 5 * time.Second}[w.Pick("nemesis/pace", 3)]
	for end := w.Now() + c.Trouble; len(kinds) > 0 && w.Now() < end; {
		w.RunUntil(w.Now() + w.between("nemesis/pace", stream.Range{To: 2 * pace}))
		kinds[w.Pick("nemesis/kinds", len(kinds))].Do(w)
		if len(w.Audit.Violations) > 0 {
			return w.result("")
		}
	}
	w.RunUntil(w.Now() + 21*time.Second) // what ends by itself has
	w.Heal()
	for _, h := range w.Hosts {
		w.PowerOn(h)
		w.StartAgent(h)
		w.StartVoter(h)
	}
	why := "not looked at"
	for end := w.Now() + calm; w.Now() < end && why != ""; {
		w.RunUntil(w.Now() + time.Second)
		why = w.Audit.Converged()
	}
	w.Audit.CheckReplay()
	return w.result(why)
}

func (w *World) result(unrest string) Result {
	r := Result{
		Verdict: OK, Violations: w.Audit.Violations, Virtual: w.Now(), Events: w.Happened(), TraceHash: w.TraceHash(),
		Moves: w.Audit.Moves, Overlap: w.Audit.Overlap,
	}
	switch {
	case len(r.Violations) > 0:
		r.Verdict, r.Why = Violates, r.Violations[0].String()
	case unrest != "":
		r.Verdict, r.Why = Violates, "does not come to rest: "+unrest
	}
	return r
}
