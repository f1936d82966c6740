package sim

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"viplog/core/trace"
	"viplog/sim/kernel"
)

// printed shows a world's trace in a failing test.
func printed(t *testing.T) func(trace.Record) {
	return func(r trace.Record) { t.Log(r.Line()) }
}

func TestADeadOwnersAddressIsServedByItsStandby(t *testing.T) {
	w := New(kernel.NewSeeded(1), Options{Clients: 1, Notes: printed(t)})
	w.RunUntil(2 * time.Second)
	for i := range 3 {
		w.Append(Service(fmt.Sprint("web-", i)))
	}
	w.RunUntil(5 * time.Second)
	if why := w.Audit.Converged(); why != "" {
		t.Fatal(why)
	}
	addr := netip.MustParseAddr("192.0.2.0")
	w.Clients[0].Poll(addr, 5*time.Millisecond)
	w.RunUntil(8 * time.Second)
	list, _ := w.Ledger().List(addr)
	w.PowerOff(w.hostOf(list[0].Node))
	w.RunUntil(20 * time.Second)
	gap, lost := w.Audit.Darkest(addr)
	t.Log(gap, lost)
	if len(w.Audit.Violations) > 0 || gap > 600*time.Millisecond || gap < 100*time.Millisecond {
		t.Fatal(w.Audit.Violations, gap)
	}
	if why := w.Audit.Converged(); why != "" {
		t.Fatal(why)
	}
}
