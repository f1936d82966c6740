package httpd

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"
)

func TestAHostTellsWhetherItGoesOnAndIsReady(t *testing.T) {
	var health, ready error
	c := Config{
		Host:   netip.MustParseAddr("10.0.0.5"),
		Health: func(context.Context) error { return health }, Ready: func(context.Context) error { return ready },
	}
	s, err := Listen(netip.MustParseAddrPort("127.0.0.1:0"), c)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	base := "http://" + s.Addr().String()

	ask(t, base+"/healthz", 200, "10.0.0.5 ok\n")
	ask(t, base+"/readyz", 200, "10.0.0.5 ok\n")
	ready = errors.Join(errors.New("node: no lease"), errors.New("voter: no log"))
	ask(t, base+"/healthz", 200, "10.0.0.5 ok\n")
	ask(t, base+"/readyz", 503, "10.0.0.5 node: no lease; voter: no log\n")
	health = errors.New("node: it does nothing")
	ask(t, base+"/healthz", 503, "10.0.0.5 node: it does nothing\n")
	ask(t, base+"/", 404, "404 page not found\n")

	if reply, err := http.Post(base+"/healthz", "text/plain", strings.NewReader("x")); err != nil || reply.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("a POST: %v, %v", reply, err)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("it ends with %v", err)
	}
	if _, err := http.Get(base + "/healthz"); err == nil {
		t.Error("it answers after its end")
	}
}

func ask(t *testing.T, url string, code int, want string) {
	t.Helper()
	reply, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer reply.Body.Close()
	body, err := io.ReadAll(reply.Body)
	if err != nil || reply.StatusCode != code || string(body) != want {
		t.Errorf("%s: %d %q, %v; want %d %q", url, reply.StatusCode, body, err, code, want)
	}
}

func TestACheckThatDoesNotEndIsAFailure(t *testing.T) {
	waits := func(ctx context.Context) error {
		<-ctx.Done()
		return ctx.Err()
	}
	s, err := Listen(netip.MustParseAddrPort("127.0.0.1:0"), Config{Health: waits, Ready: waits})
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = s.Run(t.Context()) }()
	began := time.Now()
	reply, err := http.Get("http://" + s.Addr().String() + "/healthz")
	if err != nil {
		t.Fatal(err)
	}
	defer reply.Body.Close()
	if reply.StatusCode != http.StatusServiceUnavailable || time.Since(began) < patience {
		t.Errorf("%d after %s", reply.StatusCode, time.Since(began))
	}
}

func TestAddresses(t *testing.T) {
	for text, want := range map[string]string{
		"10.0.0.5": "10.0.0.5:7480", "::1": "[::1]:7480", "10.0.0.5:80": "10.0.0.5:80", "[::1]:80": "[::1]:80", ":7480": "[::]:7480",
	} {
		if got, err := Address(text); err != nil || got.String() != want {
			t.Errorf("%s: %s, %v; want %s", text, got, err, want)
		}
	}
	for _, text := range []string{"", "7480", "host:80", "10.0.0.5:", "10.0.0.5:http", ":", "10.0.0.5:70000", "::1:http"} {
		if got, err := Address(text); !errors.Is(err, ErrAddress) {
			t.Errorf("%q: %s, %v", text, got, err)
		}
	}
}
