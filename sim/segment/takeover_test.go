package segment

import (
	"net/netip"
	"testing"
	"time"
)

const every = 10 * time.Millisecond

// outage is how long requests were sent that were lost, from the first to the last, at a spacing of every.
func (w *world) outage() time.Duration {
	var first, last time.Duration
	for _, o := range w.outcomes {
		if !o.Answered {
			if first == 0 {
				first = o.Sent
			}
			last = o.Sent + every
		}
	}
	return last - first
}

// polled is a world whose client has polled an address for a second; then the node that has it falls silent and the
// new one serves it.
func polled(t *testing.T, addr netip.Addr) *world {
	w := newWorld(t, Linux())
	w.client.Poll(addr, every)
	w.run(1005 * time.Millisecond)
	w.takeOver()
	return w
}

func announce(addr netip.Addr, mac MAC) Frame {
	if addr.Is4() {
		return GratuitousRequest(addr, mac)
	}
	return UnsolicitedAdvertisement(addr, mac)
}

func TestATakeOverIsOverWithTheFirstGratuitousFrame(t *testing.T) {
	for _, addr := range []netip.Addr{vip, vip6} {
		w := polled(t, addr)
		w.new.port.Send(announce(addr, newMAC))
		w.run(4 * time.Second)
		w.want(addr, Delay, newMAC)
		w.run(2 * time.Second)
		w.want(addr, Reachable, newMAC)
		if w.lost() != 0 {
			t.Fatalf("%d lost", w.lost())
		}
	}
}

func TestALostGratuitousFrameCostsTheTimeToItsRepetition(t *testing.T) {
	for _, addr := range []netip.Addr{vip, vip6} {
		w := polled(t, addr)
		w.s.LoseNext(w.new.port, 1)
		w.new.port.Send(announce(addr, newMAC))
		w.run(1100 * time.Millisecond)
		w.new.port.Send(announce(addr, newMAC))
		w.run(5 * time.Second)
		if w.outage() != 1100*time.Millisecond {
			t.Fatalf("outage %s", w.outage())
		}
		for _, o := range w.outcomes {
			if !o.Answered && o.To != oldMAC {
				t.Fatalf("lost at %s", o.To)
			}
		}
	}
}

func TestAGratuitousFrameThatOneClientMissesMovesTheOther(t *testing.T) {
	w := newWorld(t, Linux())
	other := NewClient(w.s, "other", otherMAC, netip.MustParseAddr("10.0.0.201"), netip.Addr{}, Linux())
	w.resolve(vip)
	other.Request(vip)
	w.run(time.Millisecond)
	w.s.MissNext(w.client.Port(), 1)
	w.new.port.Send(GratuitousRequest(vip, newMAC))
	w.run(time.Millisecond)
	w.want(vip, Reachable, oldMAC)
	if _, mac := other.Neighbour(vip); mac != newMAC {
		t.Fatalf("the other client has %s", mac)
	}
}

// Reachable 15 to 45 s, Delay 5 s, three probes 1 s apart, and the first broadcast finds the new owner.
func TestWithoutAGratuitousFrameTheClientFindsTheNewOwnerInAMinute(t *testing.T) {
	for _, addr := range []netip.Addr{vip, vip6} {
		w := polled(t, addr)
		w.run(time.Minute)
		if w.outage() < 22*time.Second || w.outage() > 53*time.Second {
			t.Fatalf("outage %s", w.outage())
		}
		w.want(addr, Reachable, newMAC)
	}
}

func TestASplitHasTwoAnswerersAndTheHealedSegmentIsWonByTheLastToAnnounce(t *testing.T) {
	w := newWorld(t, Linux())
	other := NewClient(w.s, "other", otherMAC, netip.MustParseAddr("10.0.0.201"), netip.Addr{}, Linux())
	var by []MAC
	other.Report = func(o Outcome) { by = append(by, o.By) }
	w.resolve(vip)
	w.s.Split([]*Port{w.new.port, other.Port()})
	w.new.owns = []netip.Addr{vip}
	w.client.Poll(vip, every)
	other.Poll(vip, every)
	w.run(10*time.Second - every/2)
	if w.lost() != 0 || len(w.outcomes) != 1001 || len(by) != 1000 {
		t.Fatalf("%d outcomes here, %d lost, %d there", len(w.outcomes), w.lost(), len(by))
	}
	for _, mac := range by {
		if mac != newMAC {
			t.Fatalf("there %s answered", mac)
		}
	}
	w.s.Heal()
	w.run(2 * time.Second)
	w.want(vip, Reachable, oldMAC)
	w.new.port.Send(GratuitousRequest(vip, newMAC))
	w.run(time.Millisecond)
	w.want(vip, Stale, newMAC)
	w.old.port.Send(GratuitousRequest(vip, oldMAC))
	w.run(time.Second)
	w.want(vip, Delay, oldMAC)
	if _, mac := other.Neighbour(vip); mac != oldMAC {
		t.Fatalf("the other client has %s", mac)
	}
}

func TestANodeThatHearsNothingStillTakesTheClientsByItsRefresh(t *testing.T) {
	w := polled(t, vip)
	w.old.port.Cut(Received)
	w.new.port.Send(GratuitousRequest(vip, newMAC))
	w.run(time.Second)
	w.old.port.Send(GratuitousRequest(vip, oldMAC))
	w.run(time.Second)
	w.want(vip, Delay, oldMAC)
	w.new.port.Send(GratuitousRequest(vip, newMAC))
	w.run(5 * time.Second)
	if w.outage() != time.Second {
		t.Fatalf("outage %s", w.outage())
	}
}

func TestANodeThatIsNotHeardGetsTheRequestsUntilAnotherAnnounces(t *testing.T) {
	w := newWorld(t, Linux())
	w.client.Poll(vip, every)
	w.run(1005 * time.Millisecond)
	w.s.CutOneWay(w.old.port, w.client.Port())
	served := w.old.count(Packet)
	w.run(3 * time.Second)
	if w.old.count(Packet)-served != 300 {
		t.Fatalf("the old owner got %d requests", w.old.count(Packet)-served)
	}
	w.new.owns = []netip.Addr{vip}
	w.new.port.Send(GratuitousRequest(vip, newMAC))
	w.run(5 * time.Second)
	if w.outage() != 3*time.Second {
		t.Fatalf("outage %s", w.outage())
	}
}

func TestAForeignHostTakesTheClientsWhenItAnnouncesAndIsHeardByTheOwner(t *testing.T) {
	for _, addr := range []netip.Addr{vip, vip6} {
		w := newWorld(t, Linux())
		foreign := NewForeignHost(w.s, "foreign", otherMAC)
		w.client.Poll(addr, every)
		w.run(1005 * time.Millisecond)
		foreign.Use(addr)
		foreign.Announce()
		w.run(time.Second)
		if _, mac := w.client.Neighbour(addr); mac != otherMAC {
			t.Fatalf("the client has %s", mac)
		}
		if last := w.old.heard[len(w.old.heard)-1]; last != announce(addr, otherMAC) {
			t.Fatalf("the owner heard %s last", last)
		}
		w.old.port.Send(announce(addr, oldMAC))
		w.run(4 * time.Second)
		if w.outage() != time.Second {
			t.Fatalf("outage %s", w.outage())
		}
		for _, o := range w.outcomes {
			if !o.Answered && o.To != otherMAC {
				t.Fatalf("lost at %s", o.To)
			}
		}
	}
}

func TestAForeignHostWithTheServiceAnswersTheClients(t *testing.T) {
	w := newWorld(t, Linux())
	foreign := NewForeignHost(w.s, "foreign", otherMAC, vip)
	foreign.Serves = true
	w.client.Poll(vip, every)
	w.run(time.Second)
	foreign.Announce()
	w.run(time.Second)
	if last := w.outcomes[len(w.outcomes)-1]; last.By != otherMAC || w.lost() > 0 {
		t.Fatalf("the last was answered by %s, %d lost", last.By, w.lost())
	}
}

func TestAForeignHostDefendsItsAddressAgainstAProbe(t *testing.T) {
	w := newWorld(t, Linux())
	free := netip.MustParseAddr("10.0.0.101")
	foreign := NewForeignHost(w.s, "foreign", otherMAC, free)
	w.new.port.Send(Probe(free, newMAC))
	w.run(time.Second)
	if len(w.new.heard) != 1 || w.new.heard[0].Kind != Reply || w.new.heard[0].SenderMAC != otherMAC {
		t.Fatalf("heard %v", w.new.heard)
	}
	foreign.Use()
	w.new.port.Send(Probe(free, newMAC))
	w.run(time.Second)
	if len(w.new.heard) != 1 {
		t.Fatal("it answers for what it no longer uses")
	}
}
