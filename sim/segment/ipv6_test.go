package segment

import (
	"testing"
	"time"
)

// What Linux 6.18 does with advertisements, as measured; RFC 4861 section 7.2.5 says the same of the states with a MAC.
func TestAdvertisementsOnEachState(t *testing.T) {
	type result struct {
		state State
		mac   MAC
	}
	for _, c := range []struct {
		name                string
		from                func(*world)
		solicited, override bool
		want                result
	}{
		{"no entry", func(*world) {}, false, true, result{Absent, 0}},
		{"reachable, S=0 O=1", reachable, false, true, result{Stale, newMAC}},
		{"reachable, S=0 O=0", reachable, false, false, result{Stale, oldMAC}},
		{"reachable, S=1 O=0", reachable, true, false, result{Stale, oldMAC}},
		{"reachable, S=1 O=1", reachable, true, true, result{Reachable, newMAC}},
		{"stale, S=0 O=1", stale, false, true, result{Stale, newMAC}},
		{"stale, S=0 O=0", stale, false, false, result{Stale, oldMAC}},
		{"stale, S=1 O=0", stale, true, false, result{Stale, oldMAC}},
		{"stale, S=1 O=1", stale, true, true, result{Reachable, newMAC}},
		{"probe, S=0 O=1", probing, false, true, result{Stale, newMAC}},
		{"probe, S=0 O=0", probing, false, false, result{Probing, oldMAC}},
		// The waiting packet uses the Stale entry, which makes it Delay.
		{"incomplete, S=0 O=1", incomplete, false, true, result{Delay, newMAC}},
		{"incomplete, S=1 O=0", incomplete, true, false, result{Reachable, newMAC}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, Linux())
			c.from(w)
			f := UnsolicitedAdvertisement(vip6, newMAC)
			f.Solicited, f.Override = c.solicited, c.override
			if c.solicited {
				f.Destination = clientMAC
			}
			w.new.port.Send(f)
			w.run(time.Millisecond)
			w.want(vip6, c.want.state, c.want.mac)
		})
	}
}

func reachable(w *world) {
	w.resolve(vip6)
	w.want(vip6, Reachable, oldMAC)
}

func stale(w *world) {
	w.resolve(vip6)
	w.run(50 * time.Second)
	w.want(vip6, Stale, oldMAC)
}

func probing(w *world) {
	stale(w)
	w.old.owns = nil
	w.client.Request(vip6)
	w.run(5100 * time.Millisecond)
	w.want(vip6, Probing, oldMAC)
}

func incomplete(w *world) {
	w.old.owns = nil
	w.resolve(vip6)
	w.want(vip6, Incomplete, 0)
}

// RFC 4861 has no LOCKTIME: of two owners that both answer with O=1 the last stands, where with ARP it is the first.
func TestOfTwoSolicitedAdvertisementsTheLastStands(t *testing.T) {
	w := newWorld(t, Linux())
	reachable(w)
	answer, _ := AnswerFor(Ask(vip6, clientV6, clientMAC), newMAC)
	w.new.port.Send(answer)
	w.run(time.Millisecond)
	w.want(vip6, Reachable, newMAC)
}

func TestAFailedEntryStaysWhenItIsAdvertised(t *testing.T) {
	w := newWorld(t, Linux())
	incomplete(w)
	w.run(3 * time.Second)
	w.want(vip6, Failed, 0)
	w.new.port.Send(UnsolicitedAdvertisement(vip6, newMAC))
	w.run(time.Millisecond)
	w.want(vip6, Failed, 0)
}

// RFC 4861 section 7.1.2.
func TestASolicitedAdvertisementToAGroupIsDiscarded(t *testing.T) {
	w := newWorld(t, Linux())
	reachable(w)
	f := UnsolicitedAdvertisement(vip6, newMAC)
	f.Solicited = true
	w.new.port.Send(f)
	w.run(time.Millisecond)
	w.want(vip6, Reachable, oldMAC)
}

func TestARouterOfRFC9131MakesAStaleEntryFromAnUnsolicitedAdvertisement(t *testing.T) {
	w := newWorld(t, Router())
	w.new.port.Send(UnsolicitedAdvertisement(vip6, newMAC))
	w.run(time.Millisecond)
	w.want(vip6, Stale, newMAC)
}

// Measured on 6.18: as with ARP, three solicitations to the MAC and then the group, 1 s apart.
func TestASilentOwnerIsSolicitedThreeTimesAndThenByMulticast(t *testing.T) {
	w := newWorld(t, Linux())
	w.client.Poll(vip6, 100*time.Millisecond)
	w.run(time.Second)
	w.old.owns = nil
	_, to := w.asks(60 * time.Second)
	for i, mac := range []MAC{oldMAC, oldMAC, oldMAC, 0x3333ff000100, 0x3333ff000100, 0x3333ff000100} {
		if i >= len(to) || to[i] != mac {
			t.Fatalf("ask %d of %v did not go to %s", i, to, mac)
		}
	}
}

// RFC 4861 section 7.2.4, RFC 4862 section 5.4.4: metallb#2920 is what comes of not answering one without an option.
func TestADuplicateSolicitationIsAnsweredToAllNodesAndChangesNoEntry(t *testing.T) {
	w := newWorld(t, Linux())
	w.new.port.Send(DuplicateSolicitation(clientV6, newMAC))
	w.run(time.Millisecond)
	want := UnsolicitedAdvertisement(clientV6, clientMAC)
	if len(w.new.heard) != 1 || w.new.heard[0] != want {
		t.Fatalf("heard %v", w.new.heard)
	}
	if len(w.client.neighbours) > 0 {
		t.Fatal("it made an entry")
	}
}

func TestASolicitationForTheClientMakesAStaleEntry(t *testing.T) {
	w := newWorld(t, Linux())
	w.new.port.Send(Ask(clientV6, vip6, newMAC))
	w.run(time.Millisecond)
	w.want(vip6, Stale, newMAC)
}
