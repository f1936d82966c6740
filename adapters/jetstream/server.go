package jetstream

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nuid"
)

// ServerOptions is what an embedded server needs.
type ServerOptions struct {
	Store string // the folder of its data, made if it is missing; one server at a time
	Name  string // unique and stable in a cluster; "" means a new one

	Host string // where clients connect; "" means in this process only
	Port int    // 0 or -1 means a free one

	Cluster *ServerCluster // nil: a server by itself

	Logger *slog.Logger // warnings and errors; nil: silent
}

// ServerCluster is a server's part in a cluster of three or more. Client connections over TCP are needed too.
type ServerCluster struct {
	Name   string
	Host   string
	Port   int
	Routes []string // "nats://host:port" of all servers, this one may be among them
}

// Server is an embedded nats-server with JetStream that syncs before it acknowledges.
//
// Who connects needs no credentials, may do everything in the one account, and may not publish on any log's feed: what
// is pushed there is the server's own.
type Server struct {
	server *server.Server
	lock   *os.File
	stop   sync.Once
}

const startPatience = 20 * time.Second

// StartServer starts a server and waits until clients can connect.
func StartServer(o ServerOptions) (*Server, error) {
	s, err := startServer(o)
	if err != nil {
		return nil, fmt.Errorf("start the NATS server in %s: %w", o.Store, err)
	}
	return s, nil
}

func startServer(o ServerOptions) (*Server, error) {
	if o.Store == "" {
		return nil, errors.New("a folder for its data is required")
	}
	if o.Cluster != nil && o.Host == "" {
		return nil, errors.New("a server of a cluster needs a host to listen on")
	}
	if err := os.MkdirAll(o.Store, 0o700); err != nil {
		return nil, err
	}
	lock, err := lockFolder(o.Store)
	if err != nil {
		return nil, err
	}
	logger := &serverLogger{logger: o.Logger}
	if logger.logger == nil {
		logger.logger = slog.New(slog.DiscardHandler)
	}
	options, err := o.natsOptions()
	if err != nil {
		_ = lock.Close()
		return nil, err
	}
	natsServer, err := server.NewServer(options)
	if err != nil {
		_ = lock.Close()
		return nil, err
	}
	natsServer.SetLoggerV2(logger, false, false, false)
	s := &Server{server: natsServer, lock: lock}
	natsServer.Start()
	if !natsServer.ReadyForConnections(startPatience) {
		s.Close()
		return nil, errors.Join(errors.New("it is not ready for connections"), logger.last())
	}
	return s, nil
}

func (o ServerOptions) natsOptions() (*server.Options, error) {
	name := o.Name
	if name == "" {
		name = "viplog-" + nuid.Next()
	}
	password := nuid.Next() // nobody needs it: connections without a user are this user
	options := &server.Options{
		ServerName: name,
		JetStream:  true,
		StoreDir:   o.Store,
		SyncAlways: true,
		NoSigs:     true,
		DontListen: o.Host == "",
		Host:       o.Host,
		Port:       anyPort(o.Port),
		NoAuthUser: "local",
		Users: []*server.User{{
			Username: "local",
			Password: password,
			Permissions: &server.Permissions{
				Publish: &server.SubjectPermission{Deny: []string{"viplog.*.feed.>"}},
			},
		}},
	}
	if o.Cluster == nil {
		return options, nil
	}
	options.Cluster = server.ClusterOpts{Name: o.Cluster.Name, Host: o.Cluster.Host, Port: anyPort(o.Cluster.Port)}
	for _, route := range o.Cluster.Routes {
		u, err := url.Parse(route)
		if err != nil {
			return nil, fmt.Errorf("route %q: %w", route, err)
		}
		options.Routes = append(options.Routes, u)
	}
	return options, nil
}

func anyPort(port int) int {
	if port == 0 {
		return server.RANDOM_PORT
	}
	return port
}

// URL is where clients connect, "" if that is in this process only.
func (s *Server) URL() string {
	addr, ok := s.server.Addr().(*net.TCPAddr)
	if !ok {
		return ""
	}
	return "nats://" + net.JoinHostPort(addr.IP.String(), strconv.Itoa(addr.Port))
}

// Connect makes a connection within the process.
func (s *Server) Connect(options ...nats.Option) (*nats.Conn, error) {
	nc, err := nats.Connect("", append(options, nats.InProcessServer(s.server))...)
	if err != nil {
		return nil, fmt.Errorf("connect to the embedded NATS server: %w", err)
	}
	return nc, nil
}

// Close stops the server and returns when its store is closed. It may be called again.
func (s *Server) Close() {
	s.stop.Do(func() {
		s.server.Shutdown()
		s.server.WaitForShutdown()
		_ = s.lock.Close()
	})
}

// serverLogger passes warnings and errors on.
type serverLogger struct {
	logger *slog.Logger
	mu     sync.Mutex
	fatal  error
}

func (l *serverLogger) Noticef(string, ...any) {}
func (l *serverLogger) Debugf(string, ...any)  {}
func (l *serverLogger) Tracef(string, ...any)  {}

func (l *serverLogger) Warnf(format string, args ...any) {
	l.logger.Warn(fmt.Sprintf(format, args...), "from", "nats-server")
}

func (l *serverLogger) Errorf(format string, args ...any) {
	l.logger.Error(fmt.Sprintf(format, args...), "from", "nats-server")
}

// Fatalf does not end the process as the server's own logger would: StartServer reports it.
func (l *serverLogger) Fatalf(format string, args ...any) {
	l.mu.Lock()
	l.fatal = fmt.Errorf(format, args...)
	l.mu.Unlock()
	l.Errorf(format, args...)
}

func (l *serverLogger) last() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.fatal
}

// lockFolder keeps two servers off one store, which the server itself does not prevent: both would write to it.
func lockFolder(folder string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(folder, "viplog.lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := flock(f); err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("%w (%w)", ErrInUse, err)
	}
	return f, nil
}

// ErrInUse marks a store that another server uses.
var ErrInUse = errors.New("jetstream: the folder is in use by another server")
