//go:build linux

package staticpod

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"viplog/core/frontend"
	"viplog/fixtures/lab"
)

// TestKeepalivedAcceptsWhatIsRendered asks it on each member of each sample, and of a plan of IPv6: where the interface is, for it looks.
func TestKeepalivedAcceptsWhatIsRendered(t *testing.T) {
	keepalived := needs(t, "keepalived")
	h := lab.New(t).Host("node")
	h.Add(&netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: "eth0"}})
	checked := 0
	check := func(p frontend.Plan, l Local) {
		b := newBench(t)
		b.write(render(t, p, l, b.keeper.Options))
		h.Addresses("eth0", netip.PrefixFrom(l.Address, l.PrefixBits).String())
		output, err := b.run(h, keepalived, "-t", "-f", b.o.config(fileKeepalived))
		if err != nil || strings.TrimSpace(output) != "" {
			t.Errorf("%s, %s: %v\n%s", p.Cluster, l.Address, err, output)
		}
		checked++
		h.Change("eth0", func(link netlink.Link) error {
			a, err := netlink.ParseAddr(netip.PrefixFrom(l.Address, l.PrefixBits).String())
			return errors.Join(err, netlink.AddrDel(link, a))
		})
	}
	for _, p := range samples(t) {
		if p != nil {
			for _, m := range p.Members {
				check(*p, localOf(m.Address))
			}
		}
	}
	check(planOfIPv6(), Local{addr("fd00::2"), "eth0", 64})
	if checked < 20 {
		t.Errorf("only %d configurations were checked", checked)
	}
}

// TestAKeepalivedKeepsItsVIPAcrossAReloadAndLosesItByDeath runs it with the capabilities that its Pod has.
func TestAKeepalivedKeepsItsVIPAcrossAReloadAndLosesItByDeath(t *testing.T) {
	t.Parallel() // it waits, mostly
	needs(t, "keepalived")
	b := newBench(t)
	l := lab.New(t)
	h := l.Host("node")
	l.Switch("switch").Attach(h, "eth0", "10.0.0.2/24")
	p := b.carry(h)
	until(t, 20*time.Second, "Keepalived has the VIP", func() bool { return b.holds(h) })

	b.reloaded(t) // if it began too early to know what it reads
	lost := make(chan netlink.AddrUpdate, 100)
	done := make(chan struct{})
	h.Must(func() error { return netlink.AddrSubscribe(lost, done) })
	b.plan.Members = append(b.plan.Members, frontend.Member{Address: addr("10.0.0.5"), Priority: 224})
	if got := b.keep(); len(got) != 2 {
		t.Errorf("an edit: %q", got)
	}
	reload := b.o.run(nameKeepalived, fileReload)
	until(t, 10*time.Second, "Keepalived reloads", func() bool { _, err := os.Stat(reload); return errors.Is(err, os.ErrNotExist) })
	time.Sleep(time.Second) // an address that it had lost would come back after 3 s only
	close(done)
	for update := range lost {
		if !update.NewAddr && update.LinkAddress.IP.Equal(b.plan.VIP.AsSlice()) {
			t.Error("the VIP was off for a moment")
		}
	}
	if !b.holds(h) || !p.Running() {
		t.Fatalf("it has not the VIP after a reload (it runs: %v)", p.Running())
	}
	if strings.Contains(p.Said(), "not permitted") || strings.Contains(p.Said(), "failed") {
		t.Error("it lacks something")
	}
	b.wants(b.keep())
	b.write(spoilt(b.files(), fileKeepalived))
	until(t, 10*time.Second, "Keepalived says that it does not take nonsense", func() bool {
		why, _ := os.ReadFile(b.o.run(nameKeepalived, fileRefused))
		return strings.Contains(string(why), "nonsense")
	})
	if !b.holds(h) || !p.Running() {
		t.Error("it does not go on with the configuration that it has")
	}
	b.keep()

	p.Kill()
	_ = p.Wait(5 * time.Second)
	if !b.holds(h) {
		t.Fatal("the VIP is off without anyone's help")
	}
	b.wants(b.keep())
	b.wants(b.keep(), "taken off eth0: 10.0.0.71 was left there by a Keepalived that is gone")
	if b.holds(h) {
		t.Error("the VIP is still there")
	}

	// The next container finds the VIP and the process ids of the last one, and has the same ids itself.
	h.Addresses("eth0", "10.0.0.71/32")
	again := h.RunCommand("keepalived", withCapabilities(t, "net_admin,net_raw,setgid", keepalivedCommand(b.o)...))
	until(t, 5*time.Second, "it begins with taking the VIP off", func() bool { return !b.holds(h) })
	if !again.Running() {
		t.Error("it does not start where another was killed")
	}
}

// carry runs Keepalived in a host, with the capabilities that its Pod has, beside an HAProxy that is well.
func (b *bench) carry(h *lab.Host) *lab.Process {
	b.t.Helper()
	b.keeper.Node = in{h}
	status := &atomic.Int64{}
	status.Store(http.StatusOK)
	b.monitor(h, status)
	b.keep()
	return h.RunCommand("keepalived", withCapabilities(b.t, "net_admin,net_raw,setgid", keepalivedCommand(b.o)...))
}

// TestAMemberThatIsAloneHasTheVIP holds too that it has a socket by which a Keeper knows that it lives, in either family.
func TestAMemberThatIsAloneHasTheVIP(t *testing.T) {
	t.Parallel() // it waits, mostly
	needs(t, "keepalived")
	for _, self := range []Local{{addr("10.0.0.2"), "eth0", 24}, {addr("fd00::2"), "eth0", 64}} {
		b := newBench(t)
		if b.self = self; self.Address.Is6() {
			b.plan = planOfIPv6()
		}
		b.plan.Members = b.plan.Members[:1]
		l := lab.New(t)
		h := l.Host("node")
		l.Switch("switch").Attach(h, "eth0", netip.PrefixFrom(self.Address, self.PrefixBits).String())
		b.carry(h)
		until(t, 20*time.Second, "it has the VIP", func() bool { return b.holds(h) })
		b.reloaded(t) // if it began too early to know what it reads
		for range looks + 1 {
			b.wants(b.keep())
		}
		if !b.holds(h) {
			t.Errorf("%s: a Keeper has taken the VIP off", self.Address)
		}
	}
}

// TestAClusterGrowsAndMoves goes through the changes of a plan that change more than a list. From one member to several, and with another router id,
// Keepalived begins anew, and waits for a master as long as for one that is lost; others have not yet started, or wait as well.
func TestAClusterGrowsAndMoves(t *testing.T) {
	t.Parallel()
	needs(t, "keepalived")
	b := newBench(t)
	all := b.plan.Members
	b.plan.Members = all[:1]
	l := lab.New(t)
	h := l.Host("node")
	l.Switch("switch").Attach(h, "eth0", "10.0.0.2/24")
	b.carry(h)
	until(t, 20*time.Second, "it has the VIP", func() bool { return b.holds(h) })
	for _, step := range []struct {
		name   string
		change func()
	}{
		{"two members more", func() { b.plan.Members = all }},
		{"another router id", func() { b.plan.RouterID = 9 }},
		{"another VIP", func() { b.plan.VIP = addr("10.0.0.72") }},
	} {
		b.reloaded(t) // what it began with
		step.change()
		b.reloaded(t)
		lost := time.Now()
		until(t, 20*time.Second, "it has the VIP after "+step.name, func() bool { return b.holds(h) })
		t.Logf("%s: without the VIP for %v", step.name, time.Since(lost))
	}
	if b.plan.VIP = addr("10.0.0.71"); b.holds(h) {
		t.Error("it has the old VIP too")
	}
}

// reloaded looks, and waits until Keepalived has done what it was asked for, if it was.
func (b *bench) reloaded(t *testing.T) {
	t.Helper()
	b.keep()
	reload := b.o.run(nameKeepalived, fileReload)
	until(t, 10*time.Second, "Keepalived reloads", func() bool {
		_, err := os.Stat(reload)
		return errors.Is(err, os.ErrNotExist)
	})
	time.Sleep(100 * time.Millisecond) // to read, after the file is gone
}

// TestAfterAPartitionTheWinnerIsBelieved cuts the master off. Its client learns the other one's MAC, and has to learn the master's again when it comes
// back: the master stays what it is all the time, and would announce nothing by itself.
func TestAfterAPartitionTheWinnerIsBelieved(t *testing.T) {
	t.Parallel() // it waits, mostly
	needs(t, "keepalived")
	l := lab.New(t)
	s, client := l.Switch("switch"), l.Host("client")
	s.Attach(client, "eth0", "10.0.0.9/24")
	var hosts []*lab.Host
	b := newBench(t)
	for i, m := range b.plan.Members[:2] {
		h := l.Host(fmt.Sprintf("node%d", i+1))
		s.Attach(h, "eth0", m.Address.String()+"/24")
		b := newBench(t)
		b.plan.Members, b.self = b.plan.Members[:2], localOf(m.Address)
		b.carry(h)
		if hosts = append(hosts, h); i == 0 { // which is master, because it was there first
			until(t, 20*time.Second, "the first has the VIP", func() bool { return b.holds(h) })
		}
	}
	believes := func(h *lab.Host) func() bool {
		return func() bool {
			client.Must(func() error { // so that there is an entry
				c, err := net.Dial("udp", b.plan.VIP.String()+":9")
				if err == nil {
					_, _ = c.Write([]byte("x"))
					err = c.Close()
				}
				return err
			})
			entry, found := client.Neighbour(b.plan.VIP)
			return found && entry.HardwareAddr.String() == h.MAC("eth0").String()
		}
	}
	until(t, 5*time.Second, "the client asks the first", believes(hosts[0]))
	time.Sleep(6 * time.Second) // the second has started, and hears the first
	if b.holds(hosts[1]) {
		t.Fatal("both have the VIP")
	}
	s.Sever(hosts[0], "eth0")
	severed := time.Now()
	until(t, 10*time.Second, "the client asks the second", believes(hosts[1]))
	t.Logf("taken over after %v", time.Since(severed))
	s.Join(hosts[0], "eth0")
	joined := time.Now()
	until(t, 5*time.Second, "one has the VIP", func() bool { return b.holds(hosts[0]) && !b.holds(hosts[1]) })
	t.Logf("one owner after %v", time.Since(joined))
	until(t, 5*time.Second, "the client asks the first again", believes(hosts[0]))
	t.Logf("believed after %v", time.Since(joined))
}

func (b *bench) holds(h *lab.Host) (holds bool) {
	b.t.Helper()
	h.Change("eth0", func(link netlink.Link) error {
		all, err := netlink.AddrList(link, netlink.FAMILY_ALL)
		holds = slices.ContainsFunc(all, func(a netlink.Addr) bool { return a.IP.Equal(b.plan.VIP.AsSlice()) })
		return err
	})
	return holds
}
