//go:build linux

package kube

import (
	"testing"

	"viplog/core/control"
)

func TestAServiceGetsItsAddressInItsStatus(t *testing.T) {
	w := newWorld(t)
	c := w.start("one")
	w.create("web")
	if a := w.waitAddress("web"); a != "10.0.64.1" {
		t.Errorf("its address is %s", a)
	}
	w.waitCondition("web", control.ConditionAssigned, "True", "10.0.64.1 of pool a")
	w.waitCondition("web", control.ConditionAnnounced, "True", "10.0.64.1 by lb-")
	w.waitEvent("shop", "web", "AddressAssigned: 10.0.64.1 of pool a: lowest free address")
	if n := c.counts.of("PATCH services/status"); n != 1 {
		t.Errorf("%d status writes", n)
	}
	t.Log(w.get("web").Status, w.events("shop", "web"))
}
