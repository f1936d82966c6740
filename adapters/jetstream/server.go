package jetstream

import (
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nuid"

	"viplog/core/event"
)

// ServerOptions is what an embedded server needs.
type ServerOptions struct {
	Store string // the folder of its data, made if it is missing; one server at a time
	Name  string // unique and stable in a cluster; "" means a new one

	Host string // where clients connect; "" means in this process only
	Port int    // 0 or -1 means a free one

	TLS   *tls.Config // of clients; nil: none
	Users []User      // who may connect; none: anybody, who may do everything but publish on a feed

	// AllowAnonymous lets the server listen on an address that is not loopback's although TLS or Users are missing. Whoever
	// reaches it there may write to every log.
	AllowAnonymous bool

	Cluster *ServerCluster // nil: a server by itself

	Logger *slog.Logger // warnings and errors; nil: silent
}

// ServerCluster is a server's part in a cluster of three or more. Client connections over TCP are needed too.
type ServerCluster struct {
	Name   string
	Host   string
	Port   int
	Routes []string // "nats://host:port" of all servers, this one may be among them

	// TLS is of both ends of a route; nil: none. A server of the cluster is asked for no rights, so the configuration has to
	// verify that the peer is one.
	TLS *tls.Config
}

// Server is an embedded nats-server with JetStream that syncs before it acknowledges.
//
// Where no Users are given, who connects needs no credentials and may do everything in the one account. Nobody may publish
// on any log's feed: what is pushed there is the server's own.
type Server struct {
	server   *server.Server
	lock     *os.File
	stop     sync.Once
	tls      bool
	password string // of the internal user

	mu      sync.Mutex
	options ServerOptions // as they are now
}

// internalUser is who connects within the process. Its password is drawn at each start and never leaves it.
const internalUser = "internal"

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
	if err := o.checkListening(); err != nil {
		return nil, err
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
	password := rand.Text()
	options, err := o.natsOptions(password)
	if err != nil {
		_ = lock.Close()
		return nil, err
	}
	o.Name = options.ServerName
	natsServer, err := server.NewServer(options)
	if err != nil {
		_ = lock.Close()
		return nil, err
	}
	natsServer.SetLoggerV2(logger, false, false, false)
	s := &Server{server: natsServer, lock: lock, tls: o.TLS != nil, password: password, options: o}
	natsServer.Start()
	if !natsServer.ReadyForConnections(startPatience) {
		s.Close()
		return nil, errors.Join(errors.New("it is not ready for connections"), logger.last())
	}
	return s, nil
}

// checkListening refuses what would let anybody on the network write to the log, or join the cluster.
func (o ServerOptions) checkListening() error {
	if o.AllowAnonymous {
		return nil
	}
	if o.Host != "" && !isLoopback(o.Host) && (o.TLS == nil || len(o.Users) == 0) {
		return fmt.Errorf("listening on %s: %w: TLS and Users are required there, or AllowAnonymous", o.Host, ErrAnonymous)
	}
	if o.Cluster != nil && !isLoopback(o.Cluster.Host) && o.Cluster.TLS == nil {
		return fmt.Errorf("listening for servers on %s: %w: Cluster.TLS is required there, or AllowAnonymous", o.Cluster.Host, ErrAnonymous)
	}
	return nil
}

func isLoopback(host string) bool {
	a, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && a.IsLoopback()
}

func (o ServerOptions) natsOptions(password string) (*server.Options, error) {
	name := o.Name
	if name == "" {
		name = "viplog-" + nuid.Next()
	}
	options := &server.Options{
		ServerName: name,
		JetStream:  true,
		StoreDir:   o.Store,
		SyncAlways: true,
		NoSigs:     true,
		DontListen: o.Host == "",
		Host:       o.Host,
		Port:       anyPort(o.Port),
		TLS:        o.TLS != nil,
		TLSConfig:  o.TLS,
		Users: []*server.User{{
			Username:    internalUser,
			Password:    password,
			Permissions: &server.Permissions{Publish: &server.SubjectPermission{Deny: neverPublished}},
		}},
	}
	if len(o.Users) == 0 {
		options.NoAuthUser = internalUser // connections without a user are this one
	}
	for _, u := range o.Users {
		options.Nkeys = append(options.Nkeys, &server.NkeyUser{Nkey: u.Key, Permissions: u.Permissions.server()})
	}
	if o.Cluster == nil {
		return options, nil
	}
	options.Cluster = server.ClusterOpts{Name: o.Cluster.Name, Host: o.Cluster.Host, Port: anyPort(o.Cluster.Port), TLSConfig: o.Cluster.TLS}
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
	scheme := "nats://"
	if s.tls {
		scheme = "tls://"
	}
	return scheme + net.JoinHostPort(addr.IP.String(), strconv.Itoa(addr.Port))
}

// Connect makes a connection within the process, without TLS. It is of the server's internal user, who may do everything
// but publish on a feed: whoever has the server's memory has its store too. Options with an nkey make it that user's.
func (s *Server) Connect(options ...nats.Option) (*nats.Conn, error) {
	all := slices.Concat([]nats.Option{nats.UserInfo(internalUser, s.password)}, options, []nats.Option{nats.InProcessServer(s.server)})
	nc, err := nats.Connect("", all...)
	if err != nil {
		return nil, fmt.Errorf("connect to the embedded NATS server: %w", err)
	}
	return nc, nil
}

// Routes counts the other servers that it is connected to.
func (s *Server) Routes() int {
	routes, err := s.server.Routez(nil)
	if err != nil {
		return 0
	}
	peers := map[string]bool{}
	for _, r := range routes.Routes { // there are several to each
		peers[r.RemoteID] = true
	}
	return len(peers)
}

// Leads tells whether this server is the one of its cluster that stores a cluster's facts.
func (s *Server) Leads(cluster string) bool {
	return s.server.JetStreamIsStreamLeader(server.DEFAULT_GLOBAL_ACCOUNT, streamPrefix+event.EscapeToken(cluster))
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

var (
	// ErrInUse marks a store that another server uses.
	ErrInUse = errors.New("jetstream: the folder is in use by another server")
	// ErrAnonymous marks a server that would let anybody in.
	ErrAnonymous = errors.New("jetstream: anybody could connect")
)
