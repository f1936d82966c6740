package sim

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"viplog/core/event"
	"viplog/core/lease"
	"viplog/core/node"
	"viplog/sim/stream"
)

var longerThanHeartbeat = stream.Range{To: 150 * time.Millisecond}

func drained(h *Host) event.Event { return event.NodeDrained{Address: h.Address} }

// Each auditor must find what it is for: here worlds are broken by hand.

func violatedBy(t *testing.T, w *World, auditor, text string) {
	t.Helper()
	for _, v := range w.Audit.Violations {
		if v.Auditor == auditor && strings.Contains(v.Text, text) {
			return
		}
	}
	t.Errorf("%s found nothing with %q: %v", auditor, text, w.Audit.Violations)
}

func TestTheAuditorFindsTwoLeasedAnnouncers(t *testing.T) {
	w, addr, owner := announced(t, 1, Options{})
	for _, h := range w.Hosts {
		if h.role.node && h != owner {
			ready := node.Ready{Start: []node.Served{{Address: addr, Interfaces: []string{"eth0"}}}, Until: h.node.responder.until}
			h.node.respond(ready)
			break
		}
	}
	violatedBy(t, w, "exclusive announcement", "both leased")
}

func TestTheAuditorFindsAnUnleasedOverlap(t *testing.T) {
	w, addr, owner := announced(t, 1, Options{})
	w.Isolate(owner)
	w.RunUntil(w.Now() + 300*time.Millisecond)
	w.RunUntil(w.Now() + time.Second)
	owner.node.responder.served[addr] = true
	owner.node.responder.until = owner.now().Add(100 * time.Millisecond)
	w.Audit.responded(owner.node, node.Ready{Start: []node.Served{{Address: addr}}})
	w.RunUntil(w.Now() + 50*time.Millisecond)
	owner.node.respond(node.Ready{Stop: []netip.Addr{addr}})
	if w.Audit.Overlap < 40*time.Millisecond {
		t.Errorf("an overlap of 50 ms counts %v", w.Audit.Overlap)
	}
	noViolation(t, w)
}

func TestTheAuditorFindsAnAnnouncementWithoutALease(t *testing.T) {
	w, addr, owner := announced(t, 1, Options{Nodes: 1})
	w.Clients[0].Poll(addr, 50*time.Millisecond) // who hears nobody is silent
	w.Isolate(owner)
	w.RunUntil(w.Now() + 2*time.Minute) // it holds, and asks
	noViolation(t, w)
	owner.node.frame(node.Frame{Kind: node.Announce, Address: addr, Interface: "eth0"})
	violatedBy(t, w, "hold", "without a lease")
}

func TestTheAuditorFindsALeaseBesideAProof(t *testing.T) {
	w, _, owner := announced(t, 1, Options{})
	who, _ := owner.node.machine.Incarnation()
	_, set := w.Ledger().Voters()
	for _, voter := range []string{"voter-cp-1", "voter-cp-2"} {
		w.Audit.voted(lease.VoterReady{Word: &lease.Word{Votes: []lease.Vote{{Voter: voter, Set: set, Dead: who}}}})
	}
	violatedBy(t, w, "lemma", "while it is leased")
	w.RunUntil(w.Now() + time.Second)
	violatedBy(t, w, "lemma", "proven dead and leased")
}

func TestTheAuditorFindsAMoveThatNothingAsksFor(t *testing.T) {
	w, _, owner := announced(t, 1, Options{})
	unmoving = append(unmoving, "viplog.NodeDrained.v1")
	defer func() { unmoving = unmoving[:len(unmoving)-1] }()
	w.Append(drained(owner))
	w.RunUntil(w.Now() + time.Second)
	violatedBy(t, w, "moves", "which runs")
}

func TestTheAuditorFindsAReplicaThatDiffers(t *testing.T) {
	w, _, owner := announced(t, 1, Options{})
	mine, all := owner.node.machine.Ledger(), w.Audit.ledger
	mine.Apply(Service("forged"), mine.Sequence()+1, 0)
	all.Apply(Service("real"), all.Sequence()+1, 0)
	for _, h := range w.Hosts {
		for _, r := range h.replicas() {
			if r.ledger != mine {
				r.ledger.Apply(Service("real"), r.ledger.Sequence()+1, 0)
			}
		}
	}
	w.Audit.Converged()
	violatedBy(t, w, "replay", "has another ledger")
}

func TestTheAuditorFindsWorldsThatAreNotAtRest(t *testing.T) {
	w, _, owner := announced(t, 1, Options{})
	w.PowerOff(owner)
	if why := w.Audit.Converged(); !strings.Contains(why, "announced by 0 nodes") {
		t.Errorf("an address that nobody announces: %q", why)
	}
	w.RunUntil(w.Now() + 5*time.Second)
	if why := w.Audit.Converged(); why != "" {
		t.Errorf("after the take-over: %q", why)
	}
}

func TestTheAuditorCountsDarkTimeAndLostRequests(t *testing.T) {
	w, addr, owner := announced(t, 1, Options{})
	w.Clients[0].Poll(addr, 5*time.Millisecond)
	w.RunUntil(w.Now() + time.Second)
	owner.port.Cut(3)
	w.RunUntil(w.Now() + 300*time.Millisecond)
	owner.port.Cut(0)
	w.RunUntil(w.Now() + 4*time.Second)
	gap, lost := w.Audit.Darkest(addr)
	if gap < 300*time.Millisecond || gap > 320*time.Millisecond || lost < 59 || lost > 61 {
		t.Errorf("300 ms without frames: dark for %v, %d lost", gap, lost)
	}
}
