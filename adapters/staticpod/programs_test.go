//go:build linux

package staticpod

import (
	"bufio"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"viplog/core/frontend"
	"viplog/fixtures/lab"
)

// lacks ends a test that cannot run here; where everything must run, it fails.
func lacks(t *testing.T, what string) {
	t.Helper()
	if os.Getenv("VIPLOG_REQUIRE") == "all" {
		t.Fatal("needs " + what)
	}
	t.Skip("skipped: needs " + what)
}

// needs finds a program, of the Debian package of that name.
func needs(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		lacks(t, name+", of the Debian package of that name; .ci/run installs it")
	}
	return path
}

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

func TestHAProxyAcceptsWhatIsRendered(t *testing.T) {
	haproxy := needs(t, "haproxy")
	plans := samples(t)
	six := planOfIPv6()
	plans["six"] = &six
	for name, p := range plans {
		if p == nil {
			continue
		}
		l := localOf(p.Members[0].Address)
		if p == &six {
			l.PrefixBits = 64
		}
		b := newBench(t)
		b.write(render(t, *p, l, b.keeper.Options))
		output, err := exec.Command(haproxy, "-c", "-f", b.o.config(fileHAProxy)).CombinedOutput()
		if err != nil || strings.TrimSpace(string(output)) != "Configuration file is valid" {
			t.Errorf("%s: %v\n%s", name, err, output)
		}
	}
}

// write writes files as a Keeper would.
func (b *bench) write(files []File) {
	b.t.Helper()
	if _, err := b.keeper.Keep(files); err != nil {
		b.t.Fatal(err)
	}
}

// run runs a program in a host to its end, and gives what it said.
func (b *bench) run(h *lab.Host, program string, arguments ...string) (output string, err error) {
	b.t.Helper()
	var said strings.Builder
	c := exec.Command(program, arguments...)
	c.Stdout, c.Stderr = &said, &said
	if err := h.Start(c); err != nil {
		b.t.Fatal(err)
	}
	err = c.Wait()
	return said.String(), err
}

// until waits for something that comes by itself.
func until(t *testing.T, patience time.Duration, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !is(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within %v: %s", patience, what)
		}
	}
}

// TestACheckTellsWhatHAProxySays runs the script with each of the programs that it can use.
func TestACheckTellsWhatHAProxySays(t *testing.T) {
	b := newBench(t)
	h := lab.New(t).Host("node")
	b.keep()
	var status atomic.Int64
	monitor := b.monitor(h, &status)
	for _, tool := range []string{"curl", "wget", "bash"} {
		folder := t.TempDir()
		if err := os.Symlink(needs(t, tool), filepath.Join(folder, tool)); err != nil {
			t.Fatal(err)
		}
		check := func(want bool, why string) {
			t.Helper()
			output, err := b.run(h, "/usr/bin/env", "PATH="+folder, "http_proxy=http://192.0.2.1:1", b.o.config(fileCheck))
			if (err == nil) != want {
				t.Errorf("%s, %s: %v\n%s", tool, why, err, output)
			}
		}
		status.Store(200)
		check(true, "an API server is there")
		status.Store(503)
		check(false, "none is there")
	}
	monitor.Close()
	if output, err := b.run(h, b.o.config(fileCheck)); err == nil {
		t.Errorf("without an HAProxy: %s", output)
	}
}

// monitor answers as HAProxy's does, in a host.
func (b *bench) monitor(h *lab.Host, status *atomic.Int64) *httptest.Server {
	b.t.Helper()
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != monitorPath {
			status.Store(404)
		}
		w.WriteHeader(int(status.Load()))
	}))
	_ = s.Listener.Close()
	s.Listener = listen(h, fmt.Sprintf("127.0.0.1:%d", b.o.MonitorPort))
	s.Start()
	b.t.Cleanup(s.Close)
	return s
}

func listen(h *lab.Host, at string) (l net.Listener) {
	h.Must(func() (err error) {
		l, err = net.Listen("tcp", at)
		return err
	})
	return l
}

// TestAKeepalivedKeepsItsVIPAcrossAReloadAndLosesItByDeath runs it with the capabilities that its Pod has.
func TestAKeepalivedKeepsItsVIPAcrossAReloadAndLosesItByDeath(t *testing.T) {
	needs(t, "keepalived")
	b := newBench(t)
	l := lab.New(t)
	h := l.Host("node")
	l.Switch("switch").Attach(h, "eth0", "10.0.0.2/24")
	b.keeper.Node = in{h}
	var status atomic.Int64
	status.Store(200)
	b.monitor(h, &status)
	b.keep()
	command := withCapabilities(t, "net_admin,net_raw,setgid", keepalivedCommand(b.o)...)
	p := h.RunCommand("keepalived", command)
	until(t, 20*time.Second, "Keepalived has the VIP", func() bool { return b.holds(h) })

	lost := make(chan netlink.AddrUpdate, 100)
	done := make(chan struct{})
	h.Must(func() error { return netlink.AddrSubscribe(lost, done) })
	b.plan.Members = append(b.plan.Members, frontend.Member{Address: addr("10.0.0.5"), Priority: 224})
	if got := b.keep(); len(got) != 2 {
		t.Errorf("an edit: %q", got)
	}
	reload := b.o.run(nameKeepalived, fileReload)
	until(t, 10*time.Second, "Keepalived reloads", func() bool { _, err := os.Stat(reload); return errors.Is(err, os.ErrNotExist) })
	until(t, 10*time.Second, "it tells of the new peers", func() bool { return strings.Contains(p.Said(), "Reload complete") })
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

func (b *bench) holds(h *lab.Host) (holds bool) {
	b.t.Helper()
	h.Change("eth0", func(link netlink.Link) error {
		all, err := netlink.AddrList(link, netlink.FAMILY_V4)
		holds = slices.ContainsFunc(all, func(a netlink.Addr) bool { return a.IP.Equal(b.plan.VIP.AsSlice()) })
		return err
	})
	return holds
}

// withCapabilities is a command that has these alone, as its container would.
func withCapabilities(t *testing.T, capabilities string, command ...string) *exec.Cmd {
	t.Helper()
	var bounded strings.Builder
	for c := range strings.SplitSeq(capabilities, ",") {
		bounded.WriteString(",+" + c)
	}
	return exec.Command(needs(t, "setpriv"), slices.Concat([]string{"--bounding-set=-all" + bounded.String(), "--inh-caps=-all"}, command)...)
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

// TestAWatchOutlivesABackEndThatIsAddedAndRemoved runs HAProxy with the capability that its Pod has.
func TestAWatchOutlivesABackEndThatIsAddedAndRemoved(t *testing.T) {
	needs(t, "haproxy")
	b := newBench(t)
	l := lab.New(t)
	h := l.Host("node")
	l.Switch("switch").Attach(h, "eth0", "10.0.0.2/24", "10.0.0.3/24", "10.0.0.4/24")
	b.keeper.Node = in{h}
	first, second := b.apiServer(h, "10.0.0.2"), b.apiServer(h, "10.0.0.3")
	b.plan.Backends = []netip.Addr{addr("10.0.0.2")}
	b.keep()
	h.RunCommand("haproxy", withCapabilities(t, "net_bind_service", haproxyCommand(b.o)...))
	until(t, 20*time.Second, "HAProxy answers", func() bool { return b.ask(h) == "10.0.0.2" })

	watch := b.watch(h)
	line := func() {
		t.Helper()
		select {
		case _, open := <-watch:
			if !open {
				t.Fatal("the watch has ended")
			}
		case <-time.After(5 * time.Second):
			t.Fatal("the watch stands still")
		}
	}
	line()
	until(t, 5*time.Second, "HAProxy reloads, for it may have begun before", func() bool { return slices.Contains(b.keep(), reloadedHAProxy) })
	b.plan.Backends = append(b.plan.Backends, addr("10.0.0.3"))
	if got := b.keep(); len(got) != 2 {
		t.Errorf("a back end more: %q", got)
	}
	until(t, 20*time.Second, "the new back end is asked", func() bool { return b.ask(h) == "10.0.0.3" })
	line()
	b.plan.Backends = b.plan.Backends[1:]
	if got := b.keep(); len(got) != 2 {
		t.Errorf("a back end less: %q", got)
	}
	until(t, 20*time.Second, "the old back end is not asked", func() bool {
		before := first.Load()
		for range 4 {
			b.ask(h)
		}
		return first.Load() == before && second.Load() > 0
	})
	if changes, err := b.keeper.Keep(spoilt(b.files(), fileHAProxy)); !errors.Is(err, ErrRefused) {
		t.Errorf("what is no configuration: %v, %v", changes, err)
	}
	if got := b.ask(h); got != "10.0.0.3" {
		t.Errorf("HAProxy does not go on: %s", got)
	}
	for range 20 {
		line()
	}
}

// spoilt is what Render never gives.
func spoilt(files []File, name string) []File {
	for i := range files {
		if filepath.Base(files[i].Path) == name {
			files[i].Content = append(files[i].Content, "nonsense {\n"...)
		}
	}
	return files
}

// apiServer counts requests other than checks, and tells its address.
func (b *bench) apiServer(h *lab.Host, at string) (asked *atomic.Int64) {
	b.t.Helper()
	asked = &atomic.Int64{}
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/readyz":
		case "/watch":
			for r.Context().Err() == nil {
				_, _ = fmt.Fprintln(w, "event")
				w.(http.Flusher).Flush()
				time.Sleep(50 * time.Millisecond)
			}
		default:
			asked.Add(1)
			_, _ = fmt.Fprint(w, at)
		}
	}))
	_ = s.Listener.Close()
	s.Listener = listen(h, net.JoinHostPort(at, fmt.Sprint(frontend.BackendPort)))
	s.Config.ErrorLog = nil
	s.StartTLS()
	b.t.Cleanup(func() { s.CloseClientConnections(); s.Close() })
	return asked
}

// client connects by HAProxy, once per request.
func (b *bench) client(h *lab.Host) *http.Client {
	dial := func(string, string) (c net.Conn, err error) {
		err = h.Do(func() (err error) {
			c, err = net.DialTimeout("tcp", fmt.Sprintf("10.0.0.4:%d", b.plan.Port), 2*time.Second)
			return err
		})
		return c, err
	}
	return &http.Client{Transport: &http.Transport{Dial: dial, DisableKeepAlives: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
}

// ask gives the address of the API server that answers, or why there is none.
func (b *bench) ask(h *lab.Host) string {
	client := b.client(h)
	client.Timeout = 2 * time.Second
	r, err := client.Get("https://api/")
	if err != nil {
		return err.Error()
	}
	defer r.Body.Close()
	line, _ := bufio.NewReader(r.Body).ReadString('\n')
	return line
}

func (b *bench) watch(h *lab.Host) <-chan string {
	b.t.Helper()
	r, err := b.client(h).Get("https://api/watch")
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { _ = r.Body.Close() })
	lines := make(chan string)
	go func() {
		defer close(lines)
		for s := bufio.NewScanner(r.Body); s.Scan(); {
			select {
			case lines <- s.Text():
			case <-b.t.Context().Done():
				return
			}
		}
	}()
	return lines
}
