package segment

import (
	"net/netip"
	"testing"
	"time"
)

// The forms of facts/wire.md section 3, all from the new owner.
var forms = []struct {
	name string
	form func(netip.Addr, MAC) Frame
}{
	{"req", GratuitousRequest},
	{"reqbc", GratuitousRequestBroadcast},
	{"rep", GratuitousReply},
	{"repbc", GratuitousReplyBroadcast},
}

// eachForm sends each form after what came before; where mac gives the old one the entry is to be as it was.
func eachForm(t *testing.T, o ClientOptions, before func(*world), state State, mac func(form string) MAC) {
	for _, f := range forms {
		t.Run(f.name, func(t *testing.T) {
			w := newWorld(t, o)
			before(w)
			w.new.port.Send(f.form(vip, newMAC))
			w.run(time.Millisecond)
			if mac(f.name) == oldMAC {
				w.want(vip, Reachable, oldMAC)
			} else {
				w.want(vip, state, newMAC)
			}
		})
	}
}

func isNew(string) MAC { return newMAC }

func TestNoGratuitousFormMakesAnEntryWithoutARPAccept(t *testing.T) {
	eachForm(t, Linux(), func(*world) {}, Absent, isNew)
}

// repbc is made too: with arp_accept 1 every reply makes an entry.
func TestEveryGratuitousFormMakesAStaleEntryWithARPAccept(t *testing.T) {
	o := Linux()
	o.ARPAccept = true
	eachForm(t, o, func(*world) {}, Stale, isNew)
}

func TestAYoungEntryIsReplacedByEveryFormButMetalLBs(t *testing.T) {
	eachForm(t, Linux(), func(w *world) { w.resolve(vip); w.run(40 * time.Millisecond) }, Stale, func(form string) MAC {
		if form == "repbc" {
			return oldMAC
		}
		return newMAC
	})
}

func TestAnEntryOlderThanLockTimeIsReplacedByEveryForm(t *testing.T) {
	eachForm(t, Linux(), func(w *world) { w.resolve(vip); w.run(1490 * time.Millisecond) }, Stale, isNew)
}

func TestOfTwoAnnouncersTheLastWins(t *testing.T) {
	w := newWorld(t, Linux())
	w.resolve(vip)
	w.new.port.Send(GratuitousRequest(vip, newMAC))
	w.run(time.Millisecond)
	w.want(vip, Stale, newMAC)
	w.old.port.Send(GratuitousRequest(vip, oldMAC))
	w.run(time.Millisecond)
	w.want(vip, Stale, oldMAC)
}

// Measured on 6.18: a request for another address, 0.05 s and 1.5 s after the last change.
func TestAnyARPOfTheAddressUpdatesAnEntryBeforeTheOpcodeIsLookedAt(t *testing.T) {
	for _, c := range []struct {
		age   time.Duration
		state State
		mac   MAC
	}{{40 * time.Millisecond, Reachable, oldMAC}, {1500 * time.Millisecond, Stale, newMAC}} {
		w := newWorld(t, Linux())
		w.resolve(vip)
		w.run(c.age)
		w.new.port.Send(Ask(netip.MustParseAddr("10.0.0.77"), vip, newMAC))
		w.run(time.Millisecond)
		w.want(vip, c.state, c.mac)
	}
}

// Measured on 6.18: LOCKTIME does not hold against a request for the client's own address.
func TestARequestForTheClientMakesOrReplacesAnEntryAtOnce(t *testing.T) {
	w := newWorld(t, Linux())
	w.new.port.Send(Ask(clientV4, vip, newMAC))
	w.run(time.Millisecond)
	w.want(vip, Stale, newMAC)
	if w.new.count(Reply) != 1 {
		t.Fatal("the client did not answer for its address")
	}
	w.old.port.Send(Ask(clientV4, vip, oldMAC))
	w.run(time.Millisecond)
	w.want(vip, Stale, oldMAC)
}

func TestOfTwoRepliesTheFirstStandsForLockTime(t *testing.T) {
	for _, c := range []struct {
		age time.Duration
		mac MAC
	}{{40 * time.Millisecond, oldMAC}, {1500 * time.Millisecond, newMAC}} {
		w := newWorld(t, Linux())
		w.resolve(vip)
		w.run(c.age)
		reply, _ := AnswerFor(Ask(vip, clientV4, clientMAC), newMAC)
		w.new.port.Send(reply)
		w.run(time.Millisecond)
		w.want(vip, Reachable, c.mac)
	}
}

func TestLockTimeCountsFromTheLastChangeAndNoConfirmationExtendsIt(t *testing.T) {
	w := newWorld(t, Linux())
	w.resolve(vip)
	w.run(5 * time.Second)
	w.new.port.Send(GratuitousRequest(vip, newMAC))
	w.run(40 * time.Millisecond)
	w.old.port.Send(GratuitousReplyBroadcast(vip, oldMAC))
	w.run(900 * time.Millisecond)
	w.want(vip, Stale, newMAC)
	w.new.port.Send(GratuitousReplyBroadcast(vip, newMAC))
	w.run(100 * time.Millisecond)
	w.old.port.Send(GratuitousReplyBroadcast(vip, oldMAC))
	w.run(time.Millisecond)
	w.want(vip, Stale, oldMAC)
}

// RFC 5227 section 2.1.1: a probe claims nothing, and is answered.
func TestAProbeChangesNoEntryAndIsAnswered(t *testing.T) {
	w := newWorld(t, Linux())
	w.resolve(vip)
	w.run(2 * time.Second)
	w.new.port.Send(Probe(vip, newMAC))
	w.run(time.Millisecond)
	w.want(vip, Reachable, oldMAC)
	if state, _ := w.client.Neighbour(netip.IPv4Unspecified()); state != Absent {
		t.Fatal("a probe made an entry")
	}
	if w.new.count(Reply) != 1 {
		t.Fatal("the owner did not answer the probe")
	}
}

// Measured on 6.18. In IPv6 it is otherwise: TestAFailedEntryStaysWhenItIsAdvertised.
func TestAGratuitousRequestRevivesAFailedEntry(t *testing.T) {
	w := newWorld(t, Linux())
	w.old.owns = nil
	w.client.Request(vip)
	w.run(4 * time.Second)
	w.want(vip, Failed, 0)
	w.new.port.Send(GratuitousRequest(vip, newMAC))
	w.run(time.Millisecond)
	w.want(vip, Stale, newMAC)
}

func TestAGatewayThatIgnoresGratuitousFramesIsStuckUntilItsTimeOut(t *testing.T) {
	o := Router()
	o.IgnoreGratuitous = true
	w := newWorld(t, o)
	w.resolve(vip)
	w.takeOver()
	w.client.Poll(vip, time.Second)
	for _, f := range forms {
		w.new.port.Send(f.form(vip, newMAC))
	}
	w.run(1199 * time.Second)
	w.want(vip, Reachable, oldMAC)
	w.run(3 * time.Second)
	w.want(vip, Reachable, newMAC)
}

func TestARouterTakesEveryFormAndProbesNothing(t *testing.T) {
	eachForm(t, Router(), func(w *world) { w.resolve(vip) }, Reachable, isNew)
	w := newWorld(t, Router())
	w.client.Poll(vip, time.Second)
	w.run(1199 * time.Second)
	if asked := w.old.count(Request); asked != 1 {
		t.Fatalf("the router asked %d times", asked)
	}
	w.run(10 * time.Second)
	if asked := w.old.count(Request); asked != 2 || w.lost() != 0 {
		t.Fatalf("the router asked %d times and lost %d requests", asked, w.lost())
	}
}
