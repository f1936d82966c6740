//go:build linux

package probe

import (
	"net/netip"
	"testing"
	"time"
)

func TestEverythingIsAnsweredWhereNothingFails(t *testing.T) {
	w := newWorld(t)
	w.serve(w.nodes[0])
	for _, a := range []netip.Addr{vip4, vip6} {
		for _, cold := range []bool{false, true} {
			o := Options{Address: a, Protocols: Protocols(), For: time.Second, Cold: cold, Spacing: 10 * time.Millisecond}
			r, ok := <-w.probing(t, o).result
			if !ok {
				continue
			}
			t.Logf("%+v", r)
			names := []string{"udp", "tcp", "connect", "arp"}
			if a.Is6() {
				names[3] = "ndp"
			}
			for _, name := range names {
				s := r.stream(t, name)
				if s.InTime == 0 || !cold && s.InTime != s.Sent {
					t.Errorf("%s, cold %v: %s: %+v", a, cold, name, s)
				}
			}
		}
	}
}
