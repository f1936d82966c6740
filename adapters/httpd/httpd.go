// Package httpd serves over HTTP what a host tells of itself to whoever asks: nothing there is secret, and nothing can be changed by it.
//
// The paths are those of Kubernetes' own parts. /healthz is whether the process does what it is to do, for who would start it anew; /readyz whether
// it is of use now, for who would go on to the next host. An answer is a line of text that begins with the host's address: 200 and ok, or 503 and
// what is wrong.
package httpd

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"
)

// DefaultPort is where a host listens if nobody says another one.
const DefaultPort = 7480

// Check tells what is wrong, in time or when the context ends.
type Check func(context.Context) error

// Config says what is served.
type Config struct {
	Host          netip.Addr // its declared address
	Health, Ready Check
}

// patience bounds a check: whoever probes waits a little longer.
const patience = 2 * time.Second

// Handler answers on all paths.
func Handler(c Config) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", c.answer(c.Health))
	mux.HandleFunc("GET /readyz", c.answer(c.Ready))
	return mux
}

func (c Config) answer(check Check) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		bounded, cancel := context.WithTimeout(r.Context(), patience)
		defer cancel()
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.Header().Set("Cache-Control", "no-store")
		if err := check(bounded); err != nil {
			w.WriteHeader(http.StatusServiceUnavailable)
			fmt.Fprintf(w, "%s %s\n", c.Host, strings.ReplaceAll(err.Error(), "\n", "; "))
			return
		}
		fmt.Fprintf(w, "%s ok\n", c.Host)
	}
}

// Address reads what an operator writes: "10.0.0.5", with DefaultPort then, "10.0.0.5:80", or ":7480" for all of the host's addresses.
func Address(text string) (netip.AddrPort, error) {
	if a, err := netip.ParseAddr(text); err == nil {
		return netip.AddrPortFrom(a, DefaultPort), nil
	}
	if port, all := strings.CutPrefix(text, ":"); all {
		text = "[::]:" + port
	}
	a, err := netip.ParseAddrPort(text)
	if err != nil {
		return a, fmt.Errorf("%q: %w: an address, and a port if it is not %d, like 127.0.0.1 or 10.0.0.5:8080", text, ErrAddress, DefaultPort)
	}
	return a, nil
}

// Server listens.
type Server struct {
	listener net.Listener
	server   *http.Server
}

// Listen opens the socket, which Run serves.
func Listen(address netip.AddrPort, c Config) (*Server, error) {
	text := address.String()
	if address.Addr().IsUnspecified() { // also where there is no IPv6
		text = fmt.Sprintf(":%d", address.Port())
	}
	listener, err := net.Listen("tcp", text)
	if err != nil {
		return nil, err
	}
	return &Server{listener, &http.Server{
		Handler: Handler(c), ReadHeaderTimeout: patience, ReadTimeout: patience, WriteTimeout: 5 * patience, IdleTimeout: time.Minute, MaxHeaderBytes: 16 << 10,
	}}, nil
}

// Addr is where it listens.
func (s *Server) Addr() net.Addr { return s.listener.Addr() }

// Run serves until the context ends, and closes the socket.
func (s *Server) Run(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() { _ = s.server.Close() })
	defer stop()
	if err := s.server.Serve(s.listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// ErrAddress marks what is no address to listen on.
var ErrAddress = errors.New("httpd: not an address to listen on")
