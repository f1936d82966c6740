package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"viplog/adapters/replica"
	"viplog/core/event"
	"viplog/core/ledger"
)

// operation is a verb by which an operator appends one fact.
type operation struct {
	use, short, long, example string

	names func(*ledger.State) []string // what the argument may be, for completion; nil: it takes none
	facts func(*ledger.State, []string) ([]event.Event, error)
}

func newDrain(std streams) *cobra.Command {
	var reason string
	cmd := newOperation(std, operation{
		use:   "drain NODE",
		short: "Hand a node's addresses over to others, and give it no more",
		long: "Each address goes to its first standby, planned, before the node is touched. The node keeps running; undrain\n" +
			"makes it a candidate again and moves nothing back.",
		example: "  viplog drain lb-1 --reason 'new kernel'\n  viplog drain lb-1 --dry-run --log cluster.jsonl",
		names:   nodesThatAnnounce,
		facts: func(s *ledger.State, args []string) ([]event.Event, error) {
			n, err := announcingNode(s, args[0])
			if err != nil || n.Drained {
				return nil, err
			}
			return []event.Event{event.NodeDrained{Address: n.Address, Reason: reason}}, nil
		},
	})
	cmd.Flags().StringVar(&reason, "reason", "", "why, for who reads the history")
	return cmd
}

func newUndrain(std streams) *cobra.Command {
	return newOperation(std, operation{
		use:     "undrain NODE",
		short:   "End a drain; nothing moves back by itself",
		long:    "The node may back and own addresses again. What it owned stays where it is; `viplog rebalance` evens loads out.",
		example: "  viplog undrain lb-1",
		names:   nodesThatAnnounce,
		facts: func(s *ledger.State, args []string) ([]event.Event, error) {
			n, err := announcingNode(s, args[0])
			if err != nil || !n.Drained {
				return nil, err
			}
			return []event.Event{event.NodeUndrained{Address: n.Address}}, nil
		},
	})
}

func newRebalance(std streams) *cobra.Command {
	return newOperation(std, operation{
		use:     "rebalance",
		short:   "Even out the addresses over the nodes with the fewest moves",
		long:    "Moves the fewest addresses that make the loads of equally eligible nodes differ by at most one.",
		example: "  viplog rebalance --dry-run\n  viplog rebalance",
		facts: func(s *ledger.State, _ []string) ([]event.Event, error) {
			asked := []event.Event{event.RebalanceRequested{Reason: event.RebalanceByOperator}}
			changes, err := replica.Rehearse(s.Clone(), asked)
			for _, c := range changes {
				if c.Kind == ledger.Moved {
					return asked, err
				}
			}
			return nil, err
		},
	})
}

func newRelease(std streams) *cobra.Command {
	return newOperation(std, operation{
		use:     "release IP",
		short:   "End an address's cooldown, so that any Service may get it",
		long:    "A released address is kept for a Service of the same name for a while (cooldown). This ends that now.",
		example: "  viplog release 10.200.0.76",
		names:   (*ledger.State).CoolingAddresses,
		facts: func(_ *ledger.State, args []string) ([]event.Event, error) {
			a, err := netip.ParseAddr(args[0])
			if err != nil {
				return nil, exitError{2, fmt.Errorf("%q: an IP address is required", args[0])}
			}
			return []event.Event{event.AddressReleased{Address: a}}, nil
		},
	})
}

func newOperation(std streams, op operation) *cobra.Command {
	from := &reader{err: std.err}
	var dryRun bool
	var output string
	cmd := &cobra.Command{
		Use:     op.use,
		Short:   op.short,
		Long:    op.long,
		Example: op.example,
		Args:    cobra.ExactArgs(strings.Count(op.use, " ")),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := checkOutput(output); err != nil {
				return err
			}
			if from.file != "" {
				plan, err := op.foretell(cmd.Context(), from, args, dryRun)
				if err != nil {
					return asFailure(err)
				}
				return plan.print(std.out, output)
			}
			return withClient(cmd.Context(), from.clientFlags, func(ctx context.Context, c *client) error {
				plan, err := c.operate(ctx, op, args, dryRun)
				if err != nil {
					return err
				}
				return plan.print(std.out, output)
			})
		},
	}
	if op.names != nil {
		cmd.ValidArgsFunction = completeFrom(from, op.names)
	}
	from.add(cmd)
	addOutput(cmd, &output)
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "show what would follow, and change nothing")
	return cmd
}

// foretell says what an operation would do to the ledger of an exported log.
func (op operation) foretell(ctx context.Context, from *reader, args []string, dryRun bool) (planView, error) {
	if !dryRun {
		return planView{}, exitError{2, errors.New("an exported log takes no facts: with --log use --dry-run")}
	}
	s, err := from.fold(ctx, moment{}, nil)
	if err != nil {
		return planView{}, err
	}
	facts, err := op.facts(s, args)
	if err != nil {
		return planView{}, err
	}
	return planFacts(s, facts)
}

// operate appends an operation's fact, if one is missing, and gives what followed. A fact is guarded by the head of the log
// for which its consequences were worked out.
func (c *client) operate(ctx context.Context, op operation, args []string, dryRun bool) (shown planView, err error) {
	source := fmt.Sprintf("cli/%d", os.Getpid())
	err = c.withReplica(ctx, source, nil, func(ctx context.Context, r *replica.Replica) error {
		_, err := r.SubmitAtHead(ctx, func(s *ledger.State) (facts []event.Event, err error) {
			if facts, err = op.facts(s, args); err == nil {
				shown, err = planFacts(s, facts)
			}
			if err == nil && dryRun {
				err = errDryRun
			}
			return facts, err
		})
		if errors.Is(err, errDryRun) {
			return nil
		}
		return err
	})
	return shown, err
}

var errDryRun = errors.New("a dry run")

func announcingNode(s *ledger.State, name string) (ledger.NodeIdentity, error) {
	n, ok := s.NodeNamed(name)
	switch {
	case !ok:
		return n, fmt.Errorf("node %q is not declared; the nodes that announce are %s", name, strings.Join(nodesThatAnnounce(s), ", "))
	case !n.Announces:
		return n, fmt.Errorf("node %s announces no addresses; the nodes that do are %s", name, strings.Join(nodesThatAnnounce(s), ", "))
	}
	return n, nil
}

func nodesThatAnnounce(s *ledger.State) (names []string) {
	for _, n := range s.Nodes() {
		if n.Announces {
			names = append(names, n.Name)
		}
	}
	return names
}
