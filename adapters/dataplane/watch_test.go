package dataplane

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"viplog/core/node"
)

// served is a kube-proxy's /healthz.
type served struct {
	mu    sync.Mutex
	ended time.Time
	asked int
	slow  time.Duration // from what it says to when that arrives
}

func (s *served) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked++
	if r.URL.Path != "/healthz" {
		http.NotFound(w, r)
		return
	}
	now := time.Now()
	stamp := func(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }
	fmt.Fprintf(w, `{"lastUpdated":%q,"currentTime":%q,"nodeEligible":true,"healthy":true,"status":{"IPv4":{"lastUpdated":%q,"healthy":true}}}`,
		stamp(now), stamp(now), stamp(s.ended))
	time.Sleep(s.slow)
}

func (s *served) sync() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended = time.Now()
}

// times is how often it was asked.
func (s *served) times() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked
}

func TestAWatchAsksKubeProxyAndTellsTheNode(t *testing.T) {
	kube := &served{ended: time.Now().Add(-time.Hour)}
	server := httptest.NewServer(kube)
	defer server.Close()
	told := make(chan node.DataPlane, 10)
	w := New(Config{
		Mode: ModeAuto, Healthz: strings.TrimPrefix(server.URL, "http://"), JustBooted: true,
		Tell: func(in node.DataPlane) { told <- in }, Logger: slog.New(slog.DiscardHandler),
	})
	next := func(want node.DataPlane) (took time.Duration) {
		t.Helper()
		begun := time.Now()
		select {
		case got := <-told:
			if got != want {
				t.Errorf("told %+v, want %+v", got, want)
			}
		case <-time.After(10 * time.Second):
			t.Fatalf("nothing is told; it should be %+v", want)
		}
		return time.Since(begun)
	}
	next(node.DataPlane{State: node.DataPlaneStarting, IPv4: node.ServesAll, IPv6: node.ServesAll})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- w.Run(ctx) }()
	time.Sleep(250 * time.Millisecond)
	kube.sync()
	next(node.ServesThrough(node.ServesAll))

	// A sync before the status, and the one of the status a second after it.
	time.Sleep(200 * time.Millisecond)
	kube.sync()
	time.Sleep(50 * time.Millisecond)
	w.Published(7)
	next(node.DataPlane{})
	select {
	case got := <-told:
		t.Errorf("told %+v before the sync", got)
	case <-time.After(950 * time.Millisecond):
	}
	kube.sync()
	next(node.ServesThrough(7))

	// Nothing to be synced.
	w.Published(8)
	if took := next(node.ServesThrough(8)); took < time.Second {
		t.Errorf("told after %v that there was nothing to be synced", took)
	}

	// What is said again and again is no reason to ask.
	before := kube.times()
	for range 20 {
		w.Published(8)
		time.Sleep(50 * time.Millisecond)
	}
	if n := kube.times() - before; n > 2 {
		t.Errorf("asked %d times in a second in which nothing waited", n)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// An answer says what was when it was asked for: what has happened since is not in it.
func TestAnAnswerThatIsLateSaysNothingOfLater(t *testing.T) {
	kube := &served{ended: time.Now().Add(-time.Hour), slow: 700 * time.Millisecond}
	server := httptest.NewServer(kube)
	defer server.Close()
	told := make(chan time.Time, 1)
	w := New(Config{
		Mode: ModeAuto, Healthz: strings.TrimPrefix(server.URL, "http://"), Logger: slog.New(slog.DiscardHandler),
		Tell: func(in node.DataPlane) {
			if in == node.ServesThrough(7) {
				told <- time.Now()
			}
		},
	})
	ended := make(chan error, 1)
	ctx, cancel := context.WithCancel(t.Context())
	go func() { ended <- w.Run(ctx) }()
	time.Sleep(time.Second)
	w.Published(7)
	said := time.Now()
	if least := watchTakes + minSync + syncTakes + kube.slow; (<-told).Sub(said) < least {
		t.Errorf("told in less than %v that nothing was to be synced: the answer is older", least)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestWhatAnswersOtherwiseIsNoKubeProxy(t *testing.T) {
	const now = `"2026-11-01T12:00:10Z"`
	for body, want := range map[string]string{
		`{"lastUpdated": "2020-06-03 23:59:53.6 +0000 UTC m=+202.6","currentTime": "2020-06-03 23:59:53.6 +0000 UTC m=+202.6"}`:          "old",
		`{"lastUpdated":` + now + `,"currentTime":` + now + `}`:                                                                          "old",
		`{"lastUpdated":` + now + `,"currentTime":` + now + `,"healthy":false,"status":{"IPv4":{"lastUpdated":"2026-11-01T12:00:00Z"}}}`: "ill",
		`{"lastUpdated":` + now + `,"currentTime":` + now + `,"healthy":true,"status":{"IPv4":{"lastUpdated":"2026-11-01T12:00:00Z"}}}`:  "well",
		`{"lastUpdated":` + now + `,"currentTime":` + now + `,"healthy":true}`:                                                           "starting",
		`ok`: "no", `{}`: "no", ``: "no",
	} {
		h, err := parse(http.StatusOK, []byte(body))
		got := "no"
		switch {
		case err != nil:
		case h.hasNone:
			got = "old"
		case !h.isHealthy:
			got = "ill"
		case len(h.stamps) == 0:
			got = "starting"
		case h.stamps["IPv4"] == stamp{at(0), 10 * time.Second}:
			got = "well"
		}
		if got != want {
			t.Errorf("%s is %s (%+v, %v), want %s", body, got, h, err, want)
		}
	}
	// A node that an autoscaler is to delete gets no traffic of clouds; its data plane serves.
	for _, rest := range []string{`"nodeEligible":false,"healthy":true,"status":{}`, `"nodeEligible":false`} {
		h, err := parse(http.StatusServiceUnavailable, []byte(`{"currentTime":`+now+`,`+rest+`}`))
		if err != nil || !h.isHealthy {
			t.Errorf("%s: %+v, %v", rest, h, err)
		}
	}
	if h, err := parse(http.StatusServiceUnavailable, []byte(`{"currentTime":`+now+`,"nodeEligible":true}`)); err != nil || h.isHealthy {
		t.Errorf("one that is not healthy: %+v, %v", h, err)
	}
	if _, err := parse(http.StatusNotFound, []byte(`{"currentTime":`+now+`}`)); err == nil {
		t.Error("404 is taken for an answer")
	}
}

func TestAnAddressWhereNobodyAnswersIsAnError(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	where := listener.Addr().String()
	_ = listener.Close()
	if _, err := ask(t.Context(), where); err == nil {
		t.Error("it answers")
	}
}
