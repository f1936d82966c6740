//go:build linux

package kube

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"viplog/core/control"
	"viplog/core/event"
	"viplog/core/log/logtest"
)

func TestOneControllerWritesAndAnotherTakesOver(t *testing.T) {
	w := newWorld(t)
	one := w.start("one")
	w.wait("the first leads", one.Leads)
	two := w.start("two")
	w.wait("the second has read all", two.Synced)
	w.create("web")
	w.waitAddress("web")
	if n := two.counts.of("PATCH services/status") + two.counts.of("POST events"); n > 0 || two.Leads() || two.Published() != 0 {
		t.Errorf("the second controller wrote %d times (leads: %v)", n, two.Leads())
	}
	one.stop()
	began := time.Now()
	w.wait("the second leads", two.Leads)
	t.Logf("after a stop another leads in %v", time.Since(began))
	w.create("api")
	w.waitAddress("api")
	w.wait("all is published", func() bool { return two.Published() == w.ledger().Sequence() })
	if n := two.counts.of("PATCH services/status"); n != 1 {
		t.Errorf("the second controller wrote %d statuses for one new Service", n)
	}
}

// A controller that loses its Lease stops at once, whatever waits.
func TestAControllerThatCannotRenewItsLeaseStopsWriting(t *testing.T) {
	w := newWorld(t)
	one := w.start("one")
	w.wait("the first leads", one.Leads)
	one.counts.breaks(func(r *http.Request) bool { return strings.HasPrefix(kindOf(r), "PUT leases") })
	began := time.Now()
	w.wait("it does not lead", func() bool { return !one.Leads() })
	t.Logf("it stops %v after its last renewal, at most", time.Since(began)+retryPeriod)
	w.create("web")
	before := one.counts.of("PATCH services/status")
	two := w.start("two")
	w.waitAddress("web")
	if now := one.counts.of("PATCH services/status"); now != before || !two.Leads() {
		t.Errorf("it wrote %d statuses without a Lease", now-before)
	}
}

// deafLedger is one whose log cannot be read any more.
type deafLedger struct {
	Ledger
	deaf atomic.Bool
}

// CatchUp implements Ledger.
func (l *deafLedger) CatchUp(ctx context.Context) error {
	if l.deaf.Load() {
		return errCut
	}
	return l.Ledger.CatchUp(ctx)
}

func TestAControllerThatCannotReadTheLogLeavesTheLeaseToAnother(t *testing.T) {
	w := newWorld(t)
	deaf := &deafLedger{}
	one := w.startWith("one", func(l Ledger) Ledger { deaf.Ledger = l; return deaf })
	w.wait("the first leads", one.Leads)
	two := w.start("two")
	w.wait("the second has read all", two.Synced)
	deaf.deaf.Store(true)
	began := time.Now()
	w.wait("the second leads", two.Leads)
	t.Logf("the second leads after %v", time.Since(began))
	w.create("web")
	w.waitAddress("web")
	if one.counts.of("PATCH services/status") > 0 {
		t.Error("the first wrote a status")
	}
}

func TestAControllerThatDiesAtAnyStepIsMadeUpFor(t *testing.T) {
	w := newWorld(t)
	for i, step := range []struct {
		name, request string
		arrives       bool // the request does, and its answer does not
	}{
		{"before it writes a status", "PATCH services/status", false},
		{"before it knows that a status is written", "PATCH services/status", true},
		{"before it writes an Event", "POST events", false},
		{"before it knows that an Event is written", "POST events", true},
	} {
		name := fmt.Sprintf("web-%d", i)
		dies := w.start(fmt.Sprintf("dies-%d", i))
		w.wait("the first leads", dies.Leads)
		reached := make(chan struct{}, 100)
		dies.counts.breaksAt(step.arrives, func(r *http.Request) bool {
			if kindOf(r) != step.request {
				return false
			}
			reached <- struct{}{}
			return true
		})
		w.create(name)
		<-reached
		dies.kill()
		lives := w.start(fmt.Sprintf("lives-%d", i))
		w.waitAddress(name)
		w.waitEvent("shop", name, "AddressAssigned: ")
		w.wait("all is published", func() bool { return lives.Published() == w.ledger().Sequence() })
		all := w.events("shop", name)
		if sorted := slices.Compact(slices.Sorted(slices.Values(all))); len(sorted) != len(all) {
			t.Errorf("it died %s, and Events are doubled: %q", step.name, all)
		}
		if services := w.ledger().ServicesOf(Source); len(services) != i+1 {
			t.Errorf("it died %s, and the ledger has %v", step.name, services)
		}
		lives.stop()
	}
	if moved := w.ledger().AddressViews(); len(moved) != 4 {
		t.Errorf("addresses in use: %v", moved)
	}
}

func TestAnAPIServerThatWasAwayIsBroughtUpToDate(t *testing.T) {
	w := newWorld(t)
	c := w.start("one")
	for i := range 6 {
		w.create(fmt.Sprintf("web-%d", i))
	}
	for i := range 6 {
		w.waitAddress(fmt.Sprintf("web-%d", i))
	}
	w.api.Kill()
	first, _ := w.ledger().NodeNamed("lb-1")
	w.append(event.NodeLeft{Address: first.Address, Incarnation: first.Incarnation})
	after := w.ledger().Sequence()
	w.wait("the controller gives its Lease up", func() bool { return !c.Leads() })
	w.api.Start()
	w.api.WaitReady()
	w.wait("all is published", func() bool { return c.Published() == after })
	for i := range 6 {
		v := w.get(fmt.Sprintf("web-%d", i))
		if c := condition(v, control.ConditionAnnounced); strings.Contains(c.Message, "lb-1") || address(v) == "" {
			t.Errorf("after the return of the API server: %s, %s", address(v), c.Message)
		}
	}
	if now := w.ledger().Sequence(); now != after {
		t.Errorf("the return of the API server made facts %d to %d", after+1, now)
	}
	w.create("late")
	w.waitAddress("late")
}

func TestAddressesInStatusesAreAdoptedWhenTheLogIsLost(t *testing.T) {
	w := newWorld(t)
	c := w.start("one")
	had := map[string]string{}
	for i := range 8 {
		w.create(fmt.Sprintf("web-%d", i))
		had[fmt.Sprintf("web-%d", i)] = w.waitAddress(fmt.Sprintf("web-%d", i))
	}
	w.delete("web-0") // so that the lowest address is free
	w.wait("it is gone", func() bool { return len(w.ledger().ServicesOf(Source)) == 7 })
	c.stop()
	delete(had, "web-0")
	w.create("a-new")
	w.create("a-newer")

	w.log = logtest.NewMemory(nil)
	c = w.start("two")
	w.wait("it leads", c.Leads)
	time.Sleep(300 * time.Millisecond)
	for name, before := range had {
		if now := address(w.get(name)); now != before {
			t.Errorf("before the cluster file is applied %s had %s and has %s", name, before, now)
		}
	}
	w.append(clusterFacts()...)
	given := []string{w.waitAddress("a-new"), w.waitAddress("a-newer")}
	w.wait("all is published", func() bool { return c.Published() == w.ledger().Sequence() })
	for name, before := range had {
		if now := address(w.get(name)); now != before {
			t.Errorf("%s had %s and has %s", name, before, now)
		}
		if slices.Contains(given, before) {
			t.Errorf("%s of %s is given to another", before, name)
		}
	}
	if given[0] != "10.0.64.1" { // the older of the two comes first
		t.Errorf("the new Services have %v", given)
	}
}
