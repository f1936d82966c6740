package main

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"time"

	"viplog/adapters/clusterfile"
	"viplog/adapters/replica"
	"viplog/core/control"
	"viplog/core/event"
	"viplog/core/ledger"
	"viplog/core/log"
)

// devCluster is a cluster in one process: a controller that is also the one voter, and a replica for each node that is
// joined, on the embedded log.
type devCluster struct {
	std   streams
	file  *clusterfile.File
	store *embeddedLog
	key   ed25519.PrivateKey // the voter's
	fresh bool               // the log was empty at the start

	controller *replica.Replica
	nodes      map[netip.Addr]*devNode
	running    sync.WaitGroup
	cancel     context.CancelFunc
}

func newDevCluster(std streams, file *clusterfile.File, store *embeddedLog) *devCluster {
	return &devCluster{std: std, file: file, store: store, nodes: map[netip.Addr]*devNode{}, cancel: func() {}}
}

// devNode is one node's process, as far as this process plays it.
type devNode struct {
	replica *replica.Replica
	cancel  context.CancelFunc
}

func (c *devCluster) start(ctx context.Context) (err error) {
	defer func() {
		if err != nil {
			_ = c.stop(ctx)
		}
	}()
	var run context.Context
	run, c.cancel = context.WithCancel(context.WithoutCancel(ctx))
	if c.key, err = devKey(filepath.Join(c.store.folder, "voter.key")); err != nil {
		return err
	}
	if c.controller, err = c.follow(ctx, run, "control/dev", c.tellRejected); err != nil {
		return err
	}
	if err := c.controller.CatchUp(ctx); err != nil {
		return err
	}
	c.fresh = c.controller.Sequence() == 0
	if err := c.configure(ctx); err != nil {
		return err
	}
	return c.startNodes(ctx)
}

func (c *devCluster) stop(context.Context) error {
	for _, n := range c.nodes {
		n.cancel()
	}
	c.cancel()
	c.running.Wait()
	return nil
}

// devKey reads the voter's key, or makes one.
func devKey(path string) (ed25519.PrivateKey, error) {
	seed, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		seed = make([]byte, ed25519.SeedSize)
		rand.Read(seed) // crypto/rand never fails
		err = writeWhole(path, seed)
	}
	if err != nil {
		return nil, err
	}
	if len(seed) != ed25519.SeedSize {
		return nil, fmt.Errorf("%s: a key of %d bytes is required, it has %d", path, ed25519.SeedSize, len(seed))
	}
	return ed25519.NewKeyFromSeed(seed), nil
}

// writeWhole writes a file so that a reader, also after a crash, sees all of it or none.
func writeWhole(path string, data []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		_ = os.Remove(f.Name())
	}
	return err
}

// follow starts a replica that folds until run ends.
func (c *devCluster) follow(ctx, run context.Context, source string, notify func(log.Entry, []ledger.Change)) (*replica.Replica, error) {
	r, err := replica.Open(ctx, c.store.log, source, notify)
	if err != nil {
		return nil, err
	}
	c.running.Go(func() {
		if err := r.Run(run); err != nil {
			fmt.Fprintln(c.std.err, source+":", err)
		}
	})
	return r, nil
}

// tellRejected shows the facts that the ledger could not honour.
func (c *devCluster) tellRejected(e log.Entry, changes []ledger.Change) {
	for _, change := range changes {
		if change.Kind == ledger.Rejected {
			fmt.Fprintf(c.std.err, "fact %d (%s): rejected: %s\n", e.Sequence, e.Type, change.Reason)
		}
	}
}

// configure appends what the cluster file declares, the voter, and that the nodes of an earlier run are gone: their
// process was this one.
func (c *devCluster) configure(ctx context.Context) error {
	_, err := c.controller.Submit(ctx, func(s *ledger.State) ([]event.Event, error) {
		facts, refused := control.ClusterFacts(s, clusterOf(c.file))
		if err := refusals(c.file, refused); err != nil {
			return nil, err
		}
		if voters, _ := s.Voters(); len(voters) == 0 {
			facts = append(facts, event.VoterAdded{
				ID: rand.Text(), Address: c.file.Cluster.Nodes[0].Address, Key: c.key.Public().(ed25519.PublicKey),
			})
		}
		for _, n := range s.Nodes() {
			if n.Joined {
				facts = append(facts, event.NodeLeft{Address: n.Address, Incarnation: n.Incarnation})
			}
		}
		return facts, nil
	})
	return err
}

func (c *devCluster) startNodes(ctx context.Context) error {
	if len(c.file.Settings.Subnets) == 0 {
		fmt.Fprintf(c.std.err, "no subnet is declared: the nodes' interfaces get %s\n", devPrefixes(c.file))
	}
	for _, n := range c.controller.State().Nodes() {
		if err := c.join(ctx, n.Address); err != nil {
			return err
		}
	}
	return c.settle(ctx)
}

// join starts a node's process: it folds to the head of the log and says that it is there.
func (c *devCluster) join(ctx context.Context, a netip.Addr) error {
	run, cancel := context.WithCancel(context.WithoutCancel(ctx))
	r, err := c.follow(ctx, run, "node/"+a.String(), nil)
	if err != nil {
		cancel()
		return err
	}
	c.nodes[a] = &devNode{replica: r, cancel: cancel}
	if err := r.CatchUp(ctx); err != nil {
		return err
	}
	joined := event.NodeJoined{
		Address: a, Name: devName(c.file.Cluster.Nodes, a), StartID: rand.Text(), MachineID: "dev-" + a.String(), Rules: ledger.RulesKnown,
		Interfaces: []event.Interface{{Name: "eth0", MAC: devMAC(a), Up: true, Prefixes: devPrefixes(c.file)}},
	}
	_, err = r.Submit(ctx, one(joined))
	return err
}

func (c *devCluster) applyServices(ctx context.Context, seen control.Observed) error {
	return c.submit(ctx, func(s *ledger.State) ([]event.Event, error) {
		facts, refused := control.ServiceFacts(s, seen)
		for _, r := range refused {
			fmt.Fprintf(c.std.err, "%s: %s\n", r.Field, r.Reason)
		}
		return facts, nil
	})
}

// submit appends a plan's facts through the controller and waits until every replica has folded them.
func (c *devCluster) submit(ctx context.Context, plan func(*ledger.State) ([]event.Event, error)) error {
	if _, err := c.controller.Submit(ctx, plan); err != nil {
		return err
	}
	return c.settle(ctx)
}

// settle lets the controller do what is due and brings every replica to the head of the log.
func (c *devCluster) settle(ctx context.Context) error {
	if err := c.controller.CatchUp(ctx); err != nil {
		return err
	}
	_, err := c.controller.Submit(ctx, func(s *ledger.State) ([]event.Event, error) {
		return control.Due(s, time.Now().UnixNano()), nil
	})
	if err != nil {
		return err
	}
	head := c.controller.State()
	for a, n := range c.nodes {
		if err := n.replica.WaitFor(ctx, head.Sequence()); err != nil {
			return fmt.Errorf("node %s: %w", a, err)
		}
		if folded := n.replica.State(); folded.Sequence() == head.Sequence() && folded.Digest() != head.Digest() {
			return fmt.Errorf("node %s: its ledger at %d has digest %s, the controller's %s", a, head.Sequence(),
				folded.Digest().Short(), head.Digest().Short())
		}
	}
	return nil
}

func (c *devCluster) named(name string) (ledger.NodeIdentity, error) {
	n, ok := c.controller.State().NodeNamed(name)
	if !ok {
		return n, fmt.Errorf("node %q: there is no such node", name)
	}
	return n, nil
}

// failNode ends a node's process and lets the voter prove it.
func (c *devCluster) failNode(ctx context.Context, name string) error {
	n, err := c.named(name)
	if err != nil {
		return err
	}
	running, ok := c.nodes[n.Address]
	if !ok {
		return fmt.Errorf("node %s: it does not run", name)
	}
	running.cancel()
	delete(c.nodes, n.Address)
	return c.submit(ctx, func(s *ledger.State) ([]event.Event, error) {
		voters, set := s.Voters()
		message := event.VoteMessage(s.LogID(), n.Address, n.Incarnation, set)
		return []event.Event{event.NodeFailed{
			Address: n.Address, Incarnation: n.Incarnation, Set: set,
			Votes: []event.Vote{{Voter: voters[0].ID, Signature: ed25519.Sign(c.key, message)}},
		}}, nil
	})
}

func (c *devCluster) joinNode(ctx context.Context, name string) error {
	n, err := c.named(name)
	if err != nil {
		return err
	}
	if _, runs := c.nodes[n.Address]; runs {
		return fmt.Errorf("node %s: it runs already", name)
	}
	if err := c.join(ctx, n.Address); err != nil {
		return err
	}
	return c.settle(ctx)
}

func (c *devCluster) drainNode(ctx context.Context, name string, drain bool) error {
	n, err := c.named(name)
	if err != nil {
		return err
	}
	if drain {
		return c.submit(ctx, one(event.NodeDrained{Address: n.Address}))
	}
	return c.submit(ctx, one(event.NodeUndrained{Address: n.Address}))
}

func (c *devCluster) printStatus(ctx context.Context, output string) error {
	if err := c.settle(ctx); err != nil {
		return err
	}
	progress := map[netip.Addr]ledger.Progress{}
	for a, n := range c.nodes {
		s := n.replica.State()
		progress[a] = ledger.Progress{Sequence: s.Sequence(), Digest: s.Digest().Short()}
	}
	return statusOf(c.controller.State(), progress).print(c.std.out, output)
}
