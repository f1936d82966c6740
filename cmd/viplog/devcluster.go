package main

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"viplog/adapters/clusterfile"
	"viplog/adapters/replica"
	"viplog/core/control"
	"viplog/core/event"
	"viplog/core/ledger"
	"viplog/core/log"
	"viplog/sim"
	"viplog/sim/segment"
)

// devCluster is a cluster in one process: the machines of nodes, voters and a controller on simulated hosts in real time, on
// the embedded log; and a controller beside them that applies files and shows the status.
type devCluster struct {
	std    streams
	file   *clusterfile.File
	store  *embeddedLog
	voters []devVoter
	fresh  bool // the log was empty at the start

	controller *replica.Replica
	running    sync.WaitGroup
	cancel     context.CancelFunc

	time     *realtime // the hosts' world
	worldLog *devLog
	client   *segment.Client
	told     int // violations
	trace    *devTrace
}

func newDevCluster(std streams, file *clusterfile.File, flags devFlags, store *embeddedLog) *devCluster {
	return &devCluster{std: std, file: file, store: store, cancel: func() {}, trace: &devTrace{path: flags.report}}
}

func (c *devCluster) start(ctx context.Context) (err error) {
	defer func() {
		if err != nil {
			_ = c.stop(ctx)
		}
	}()
	var run context.Context
	run, c.cancel = context.WithCancel(context.WithoutCancel(ctx))
	if err := c.follow(ctx, run); err != nil {
		return err
	}
	if err := c.controller.CatchUp(ctx); err != nil {
		return err
	}
	c.fresh = c.controller.Sequence() == 0
	c.voters, err = devVoters(c.controller.State(), c.file.Cluster, c.file.Settings, c.store.folder)
	if err != nil {
		return err
	}
	if err := c.configure(ctx); err != nil {
		return err
	}
	if len(c.file.Settings.Subnets) == 0 {
		fmt.Fprintf(c.std.err, "no subnet is declared: the nodes' interfaces get %s\n", devPrefixes(c.file))
	}
	head, err := c.store.log.Head(ctx)
	if err != nil {
		return err
	}
	c.startWorld(head)
	if err := c.allThere(ctx); err != nil {
		return err
	}
	return c.settle(ctx)
}

func (c *devCluster) stop(context.Context) error {
	if c.time != nil {
		c.time.close()
		c.worldLog.Close()
	}
	c.cancel()
	c.running.Wait()
	return nil
}

// follow starts the controller's replica, which folds until run ends.
func (c *devCluster) follow(ctx, run context.Context) (err error) {
	const source = "control/dev"
	if c.controller, err = replica.Open(ctx, c.store.log, source, c.tellRejected); err != nil {
		return err
	}
	c.running.Go(func() {
		if err := c.controller.Run(run); err != nil {
			fmt.Fprintln(c.std.err, source+":", err)
		}
	})
	return nil
}

// tellRejected shows the facts that the ledger could not honour.
func (c *devCluster) tellRejected(e log.Entry, changes []ledger.Change) {
	for _, change := range changes {
		if change.Kind == ledger.Rejected {
			fmt.Fprintf(c.std.err, "fact %d (%s): rejected: %s\n", e.Sequence, e.Type, change.Reason)
		}
	}
}

// configure appends what the cluster file declares, the first voter, and that the nodes of an earlier run are gone: their
// process was this one.
func (c *devCluster) configure(ctx context.Context) error {
	_, err := c.controller.Submit(ctx, func(s *ledger.State) ([]event.Event, error) {
		facts, refused := control.ClusterFacts(s, clusterOf(c.file))
		if err := refusals(c.file, refused); err != nil {
			return nil, err
		}
		if members, _ := s.Voters(); len(members) == 0 {
			first := c.voters[0]
			facts = append(facts, event.VoterAdded{
				ID: first.id, Address: first.address, Key: first.key.Public().(ed25519.PublicKey),
			})
		}
		for _, who := range s.Live() {
			facts = append(facts, event.NodeLeft{Address: who.Node, Incarnation: who.Join})
		}
		return facts, nil
	})
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

// submit appends a plan's facts through the controller, and waits until every replica has folded them and what they move is
// handed over.
func (c *devCluster) submit(ctx context.Context, plan func(*ledger.State) ([]event.Event, error)) error {
	before := ownersOf(c.controller.State())
	if _, err := c.controller.Submit(ctx, plan); err != nil {
		return err
	}
	return c.handedOver(ctx, before)
}

// settle lets the controller do what is due and brings every replica to the head of the log.
func (c *devCluster) settle(ctx context.Context) error {
	_, _, err := c.atOneHead(ctx)
	return err
}

// atOneHead is the ledger that the controller and every node that has joined are at, and how far each node is.
func (c *devCluster) atOneHead(ctx context.Context) (*ledger.State, map[netip.Addr]ledger.Progress, error) {
	const often = 2 * time.Millisecond
	for {
		head, nodes, err := c.look(ctx)
		if err != nil {
			return nil, nil, err
		}
		progress, missing, err := compare(head, nodes)
		if err != nil || missing == "" {
			return head, progress, err
		}
		select {
		case <-time.After(often):
		case <-ctx.Done():
			return nil, nil, fmt.Errorf("%s: %w", missing, ctx.Err())
		}
	}
}

// look lets the controller do what is due, and copies its ledger and then the ledgers of the nodes that have joined.
func (c *devCluster) look(ctx context.Context) (*ledger.State, map[netip.Addr]*ledger.State, error) {
	if err := c.controller.CatchUp(ctx); err != nil {
		return nil, nil, err
	}
	_, err := c.controller.Submit(ctx, func(s *ledger.State) ([]event.Event, error) {
		return control.Due(s, time.Now().UnixNano()), nil
	})
	if err != nil {
		return nil, nil, err
	}
	head, nodes := c.controller.State(), map[netip.Addr]*ledger.State{}
	err = c.time.Do(ctx, func(w *sim.World) {
		for _, h := range w.Hosts {
			if s, joined := h.NodeLedger(); joined {
				nodes[h.Address] = s
			}
		}
	})
	return head, nodes, err
}

// compare says how far nodes are, and which is not at the head; ledgers at one sequence must be the same.
func compare(head *ledger.State, nodes map[netip.Addr]*ledger.State) (progress map[netip.Addr]ledger.Progress, missing string, err error) {
	progress = map[netip.Addr]ledger.Progress{}
	digest := head.Digest().Short()
	for a, s := range nodes {
		if s.Sequence() != head.Sequence() {
			return nil, fmt.Sprintf("node %s has folded %d facts, the controller %d", a, s.Sequence(), head.Sequence()), nil
		}
		progress[a] = ledger.Progress{Sequence: s.Sequence(), Digest: s.Digest().Short()}
		if progress[a].Digest != digest {
			return nil, "", fmt.Errorf("node %s: its ledger at %d has digest %s, the controller's %s", a, head.Sequence(), progress[a].Digest, digest)
		}
	}
	return progress, "", nil
}

func (c *devCluster) named(name string) (ledger.NodeIdentity, error) {
	n, ok := c.controller.State().NodeNamed(name)
	if !ok {
		return n, fmt.Errorf("node %q: there is no such node", name)
	}
	return n, nil
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
	head, progress, err := c.atOneHead(ctx)
	if err != nil {
		return err
	}
	return statusOf(head, progress).print(c.std.out, output)
}

// violations shows what the auditors of the world have found since they were last asked, which is an error.
func (c *devCluster) violations() error {
	var found []error
	err := c.time.Do(context.Background(), func(w *sim.World) {
		for _, v := range w.Audit.Violations[c.told:] {
			found = append(found, fmt.Errorf("violated: %s", v))
		}
		c.told = len(w.Audit.Violations)
	})
	return errors.Join(append(found, err)...)
}
