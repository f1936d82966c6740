//go:build linux

package staticpod

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
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

	"viplog/core/frontend"
	"viplog/fixtures/lab"
)

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
	s.Config.ErrorLog = log.New(io.Discard, "", 0) // checks that end early
	s.StartTLS()
	b.t.Cleanup(func() { s.CloseClientConnections(); s.Close() })
	return asked
}

// client connects to the front end, once per request.
func (b *bench) client(h *lab.Host) *http.Client {
	dial := func(context.Context, string, string) (c net.Conn, err error) {
		err = h.Do(func() (err error) {
			c, err = net.DialTimeout("tcp", netip.AddrPortFrom(b.front, b.plan.Port).String(), 2*time.Second)
			return err
		})
		return c, err
	}
	return &http.Client{Transport: &http.Transport{DialContext: dial, DisableKeepAlives: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
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
