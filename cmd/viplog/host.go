package main

import (
	"cmp"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"go.uber.org/fx"

	"viplog/adapters/agent"
	"viplog/adapters/dataplane"
	"viplog/adapters/identity"
	"viplog/adapters/jetstream"
	"viplog/adapters/l2"
	"viplog/adapters/staticpod"
	"viplog/core/control"
	"viplog/core/ledger"
	"viplog/core/node"
	"viplog/core/trace"
)

// hostRoles are what a host does in this process.
type hostRoles struct{ node, controller, voter bool }

func (r hostRoles) String() string {
	var all []string
	for _, role := range []struct {
		has  bool
		name string
	}{{r.node, "node"}, {r.controller, "controller"}, {r.voter, "voter"}} {
		if role.has {
			all = append(all, role.name)
		}
	}
	return strings.Join(all, ",")
}

// hostOptions say how a host's processes run.
type hostOptions struct {
	roles     hostRoles
	hosts     string // hosts.json's path
	data      string
	nodeName  string
	keep      bool // at a stop addresses are kept for the process that follows
	services  string
	nats      string // "" for the controllers' own servers
	trustFeed bool
	http      netip.AddrPort // where to tell how the host is; zero for nowhere
	kube      *kubeOptions   // nil for none
	dataPlane dataPlaneFlags
	frontend  *staticpod.Options // of the control plane's; nil for none
}

// hostAgents are the machines of a host, with what they stand on.
type hostAgents struct {
	identity  *identity.Identity
	directory *hostDirectory
	options   hostOptions
	logger    *slog.Logger
	log       *hostLog
	mail      *hostMail
	frontend  *hostFrontend

	node       *agent.Node
	voter      *agent.Voter
	controller *agent.Controller
	wire       *l2.Responder
	dataPlane  *dataplane.Watch   // nil: nothing is waited for
	published  *nats.Subscription // to what controllers say to it

	present presences
	failed  chan error // what ends the process
	end     context.CancelFunc
	running sync.WaitGroup
	nodeEnd chan struct{} // closed when the node has ended

	nodeRuns bool
}

func newHostAgents(
	i *identity.Identity, d *hostDirectory, options hostOptions, logger *slog.Logger, l *hostLog, mail *hostMail,
	front *hostFrontend,
) *hostAgents {
	return &hostAgents{
		identity: i, directory: d, options: options, logger: logger, log: l, mail: mail, frontend: front, end: func() {},
		failed: make(chan error, 8), nodeEnd: make(chan struct{}),
	}
}

func (a *hostAgents) start(ctx context.Context) (err error) {
	defer func() {
		if err != nil {
			_ = a.stop(ctx)
		}
	}()
	if err := a.makeAgents(); err != nil {
		return err
	}
	a.mail.node, a.mail.voter, a.mail.controller = a.node, a.voter, a.controller
	var run context.Context
	run, a.end = context.WithCancel(context.WithoutCancel(ctx))
	a.mail.begin(run)
	if a.voter != nil {
		a.run(run, "voter", a.voter.Run)
		a.running.Go(func() { a.sayPresence(run) })
	}
	if a.controller != nil {
		if err := a.present.hear(a.log.conn, a.identity.Directory.Cluster); err != nil {
			return err
		}
		a.run(run, "controller", a.controller.Run)
	}
	if a.node == nil {
		close(a.nodeEnd)
		return nil
	}
	if err := a.runDataPlane(run); err != nil {
		return err
	}
	a.nodeRuns = true
	a.run(run, "wire", a.wire.Run)
	a.run(run, "node", func(ctx context.Context) error {
		defer close(a.nodeEnd)
		return a.node.Run(ctx)
	})
	return nil
}

func (a *hostAgents) run(ctx context.Context, what string, f func(context.Context) error) {
	a.running.Go(func() {
		if err := f(ctx); err != nil && ctx.Err() == nil {
			a.failed <- fmt.Errorf("%s: %w", what, err)
		}
	})
}

// handOverPatience is how long a node that stops waits for others to take its addresses: the machine waits a second for them, and
// then tells the log and the voters.
const handOverPatience = 5 * time.Second

// stop hands the addresses over, unless they are to be kept.
func (a *hostAgents) stop(context.Context) error {
	if a.nodeRuns && !a.options.keep {
		a.node.Leave()
		select {
		case <-a.nodeEnd:
		case <-time.After(handOverPatience):
			a.logger.Warn("the node stops without being told that it has left", "after", handOverPatience)
		}
	}
	a.end()
	a.running.Wait()
	a.present.stop()
	if a.published != nil {
		_ = a.published.Unsubscribe()
	}
	return nil
}

func (a *hostAgents) makeAgents() (err error) {
	self := a.identity.Self
	folded := a.frontend.folded // one of the machines is enough
	base := func(role string) agent.Host {
		defer func() { folded = nil }()
		logger := a.logger.With("role", role)
		return agent.Host{
			Address: self.Address, Log: &a.log.log, Source: role + "/" + self.Address.String(), Now: l2.Boottime, Logger: logger,
			Told: func(n trace.Note) { logNote(logger, n) }, Folded: folded,
		}
	}
	if a.options.roles.voter {
		a.voter, err = agent.NewVoter(agent.VoterConfig{
			Host: base("voter"), Folder: a.options.data, Members: a.mail.follow("voter"),
			Sign:   func(message []byte) []byte { return ed25519.Sign(a.identity.Private, message) },
			Answer: a.mail.answer, Say: a.mail.say,
		})
		if err != nil {
			return err
		}
	}
	if a.options.roles.controller {
		a.controller = agent.NewController(agent.ControllerConfig{
			Host: base("controller"), Members: a.mail.follow("controller"), Wanted: a.wanted,
		})
	}
	if !a.options.roles.node {
		return nil
	}
	who, err := a.nodeIdentity()
	if err != nil {
		return err
	}
	if a.wire, err = l2.New(l2.Config{Handler: wireHandler{a}}); err != nil {
		return err
	}
	a.node = agent.NewNode(agent.NodeConfig{
		Host: base("node"), Identity: who, Folder: a.options.data, Wire: a.wire, Send: a.mail.send, Members: a.mail.follow("node"),
	})
	a.makeDataPlane()
	return nil
}

func (a *hostAgents) nodeIdentity() (node.Identity, error) {
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return node.Identity{}, fmt.Errorf("the kernel's boot id: %w", err)
	}
	machine, err := os.ReadFile("/etc/machine-id")
	if err != nil || strings.TrimSpace(string(machine)) == "" {
		return node.Identity{}, errors.Join(errors.New("/etc/machine-id is needed to tell a copied host from its original; "+
			"systemd-machine-id-setup makes it"), err)
	}
	name := cmp.Or(a.options.nodeName, os.Getenv("NODE_NAME"))
	if name == "" {
		if name, err = os.Hostname(); err != nil {
			return node.Identity{}, err
		}
	}
	return node.Identity{
		Address: a.identity.Self.Address, Name: name, MachineID: strings.TrimSpace(string(machine)), Key: a.identity.Nkey(),
		Rules: ledger.RulesKnown, Boot: strings.TrimSpace(string(boot)), Start: rand.Text(),
	}, nil
}

// wanted are the voters that there are to be: of those that are none yet only who has said lately that it is there.
func (a *hostAgents) wanted(s *ledger.State) (all []ledger.Voter) {
	cluster, _ := s.Cluster()
	members, _ := s.Voters()
	for _, host := range control.VoterHosts(cluster, s.Settings()) {
		known, is := a.directory.current().Host(host)
		if !is || !known.Voter {
			continue
		}
		if id := a.present.voter(host); id != "" {
			all = append(all, ledger.Voter{ID: id, Address: host, Key: known.Key})
			continue
		}
		for _, m := range members {
			if m.Address == host {
				all = append(all, m)
			}
		}
	}
	return all
}

const presenceInterval = time.Second

func (a *hostAgents) sayPresence(ctx context.Context) {
	tick := time.NewTicker(presenceInterval)
	defer tick.Stop()
	for {
		a.log.say(a.identity.Self.Address, a.voter.ID())
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// presences are which voters hosts have said lately.
type presences struct {
	mu    sync.Mutex
	all   map[netip.Addr]presence
	heard *nats.Subscription
}

type presence struct {
	voter string
	at    time.Time
}

// presenceStays is how long a host is taken to be there after it said so.
const presenceStays = 5 * presenceInterval

func (p *presences) hear(conn *nats.Conn, cluster string) (err error) {
	p.all = map[netip.Addr]presence{}
	p.heard, err = jetstream.Announcements(conn, cluster, func(host netip.Addr, voter []byte) {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.all[host] = presence{string(voter), time.Now()}
	})
	return err
}

func (p *presences) stop() {
	if p.heard != nil {
		_ = p.heard.Unsubscribe()
	}
}

// voter is the id of the voter on a host that is there; "" if it is not.
func (p *presences) voter(host netip.Addr) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if said := p.all[host]; time.Since(said.at) < presenceStays {
		return said.voter
	}
	return ""
}

// wireHandler tells the node what happens on the wire.
type wireHandler struct{ *hostAgents }

// Linked implements l2.Handler.
func (w wireHandler) Linked(in node.Linked) { w.node.Linked(in) }

// Heard implements l2.Handler.
func (w wireHandler) Heard(in node.Heard) { w.node.Heard(in) }

// Listened implements l2.Handler.
func (w wireHandler) Listened() { w.node.Listened() }

// Sent implements l2.Handler.
func (w wireHandler) Sent(f node.Frame, err error) {
	if err != nil && !errors.Is(err, l2.ErrNotServed) && !errors.Is(err, l2.ErrPassed) { // those are no more to be said
		w.logger.Warn("a frame was not sent", "address", f.Address, "interface", f.Interface, "error", err)
	}
}

// Troubled implements l2.Handler.
func (w wireHandler) Troubled(err error) {
	w.logger.Warn("an interface cannot be served as it should be", "error", err)
}

func logNote(logger *slog.Logger, n trace.Note) {
	attributes := make([]any, 0, 8)
	if n.Address.IsValid() {
		attributes = append(attributes, "address", n.Address)
	}
	if n.Sequence > 0 {
		attributes = append(attributes, "sequence", n.Sequence)
	}
	if n.Gap > 0 {
		attributes = append(attributes, "after", n.Gap.Round(time.Millisecond).String())
	}
	if n.Text != "" {
		attributes = append(attributes, "why", n.Text)
	}
	logger.Info(string(n.Kind), attributes...)
}

// hostParts are the parts of a host's processes, in the order in which they start.
func hostParts(i *identity.Identity, options hostOptions, logger *slog.Logger, std streams) fx.Option {
	return fx.Options(
		fx.Supply(i, options, logger, std),
		part[*hostLock]("lock", newHostLock),
		part[*hostDirectory]("directory", newHostDirectory),
		part[*hostLog]("log", newHostLog),
		part[*hostMail]("heartbeat", newHostMail),
		part[*hostPublished]("published", newHostPublished),
		part[*hostSources]("sources", newHostSources),
		part[*hostFrontend]("frontend", newHostFrontend),
		part[*hostAgents]("agents", newHostAgents),
		part[*hostHTTP]("http", newHostHTTP),
	)
}
