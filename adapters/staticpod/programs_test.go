//go:build linux

package staticpod

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"viplog/fixtures/lab"
)

// lacks ends a test that cannot run here; where everything must run, it fails.
func lacks(t testing.TB, what string) {
	t.Helper()
	if os.Getenv("VIPLOG_REQUIRE") == "all" {
		t.Fatal("needs " + what)
	}
	t.Skip("skipped: needs " + what)
}

// needs finds a program, of the Debian package of that name.
func needs(t testing.TB, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		lacks(t, name+", of the Debian package of that name; .ci/run installs it")
	}
	return path
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
func until(t testing.TB, patience time.Duration, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !is(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within %v: %s", patience, what)
		}
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

// withCapabilities is a command that has these alone, as its container would.
func withCapabilities(t testing.TB, capabilities string, command ...string) *exec.Cmd {
	t.Helper()
	var bounded strings.Builder
	for c := range strings.SplitSeq(capabilities, ",") {
		bounded.WriteString(",+" + c)
	}
	return exec.Command(needs(t, "setpriv"), slices.Concat([]string{"--bounding-set=-all" + bounded.String(), "--inh-caps=-all"}, command)...)
}
