package staticpod

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"testing"

	"github.com/vishvananda/netlink"

	"viplog/fixtures/lab"
)

// in is a host as a Node.
type in struct{ host *lab.Host }

func (n in) SpeaksVRRP() (speaks bool, err error) {
	err = n.host.Do(func() (err error) { speaks, err = System{}.SpeaksVRRP(); return err })
	return speaks, err
}

func (n in) TakeOff(vip netip.Addr) (interfaces []string, err error) {
	err = n.host.Do(func() (err error) { interfaces, err = System{}.TakeOff(vip); return err })
	return interfaces, err
}

// TestTakingOffLeavesWhatKeepalivedDidNotPutThere has the VIP alone, with a subnet, and another address alone.
func TestTakingOffLeavesWhatKeepalivedDidNotPutThere(t *testing.T) {
	l := lab.New(t)
	h := l.Host("node")
	s := l.Switch("switch")
	s.Attach(h, "eth0", "10.0.0.2/24", "10.0.0.71/32", "10.0.0.72/32", "fd00::71/128")
	s.Attach(h, "eth1", "10.0.0.71/24")
	for vip, want := range map[string]string{"10.0.0.71": "[eth0]", "fd00::71": "[eth0]", "10.0.0.2": "[]", "10.0.0.99": "[]"} {
		got, err := in{h}.TakeOff(addr(vip))
		if fmt.Sprint(got) != want || err != nil {
			t.Errorf("%s: taken off %v, %v, want %s", vip, got, err, want)
		}
	}
	var left []string
	h.Must(func() error {
		all, err := netlink.AddrList(nil, netlink.FAMILY_ALL)
		for _, a := range all {
			if p, _ := prefixOf(a); a.Label != "lo" && !p.Addr().IsLinkLocalUnicast() && !p.Addr().IsLoopback() {
				left = append(left, p.String())
			}
		}
		return err
	})
	slices.Sort(left)
	if want := []string{"10.0.0.2/24", "10.0.0.71/24", "10.0.0.72/32"}; !slices.Equal(left, want) {
		t.Errorf("left %v, want %v", left, want)
	}
}

func TestANodeFindsTheInterfaceThatHoldsItsAddress(t *testing.T) {
	l := lab.New(t)
	h := l.Host("node")
	s := l.Switch("switch")
	s.Attach(h, "eth0", "10.0.0.2/24")
	s.Attach(h, "eth1", "10.1.0.2/16", "fd00::2/64")
	for address, want := range map[string]Local{
		"10.0.0.2": {addr("10.0.0.2"), "eth0", 24}, "10.1.0.2": {addr("10.1.0.2"), "eth1", 16}, "fd00::2": {addr("fd00::2"), "eth1", 64},
	} {
		h.Must(func() error {
			got, err := Find(addr(address))
			if got != want {
				t.Errorf("%s is on %+v, want %+v", address, got, want)
			}
			return err
		})
	}
	_ = h.Do(func() error {
		if _, err := Find(addr("10.0.0.3")); !errors.Is(err, ErrInterface) {
			t.Errorf("an address that is not there: %v", err)
		}
		return nil
	})
}
