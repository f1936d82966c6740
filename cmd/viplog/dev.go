package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"go.uber.org/fx"

	"viplog/adapters/clusterfile"
	"viplog/adapters/manifest"
	"viplog/core/control"
	"viplog/core/event"
	"viplog/core/ledger"
)

type devFlags struct {
	cluster, services, data, output, report string
	once                                    bool
}

func newDev(std streams) *cobra.Command {
	var flags devFlags
	cmd := &cobra.Command{
		Use:   "dev",
		Short: "Run a whole cluster in this process: log, nodes, voters, controller",
		Long: "Run a whole cluster in this process, on a log in an embedded NATS server. Nodes, voters and controller are\n" +
			"those of production, on simulated hosts and a simulated network in real time. Without files it runs the\n" +
			"examples that are compiled in. Verbs on standard input change the cluster; 'help' lists them.",
		Example: "  viplog dev --once\n  echo 'fail lb-1' | viplog dev --cluster cluster.yaml --services manifests/",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return runDev(cmd.Context(), std, flags)
		},
	}
	cmd.Flags().StringVar(&flags.cluster, "cluster", "", "cluster file (default: a compiled-in example)")
	cmd.Flags().StringVar(&flags.services, "services", "", "folder of Service manifests (default: compiled-in examples, without --cluster)")
	cmd.Flags().StringVar(&flags.data, "data", "", "folder that keeps the log between runs (default: a temporary one)")
	cmd.Flags().StringVar(&flags.report, "report", "", "write a page that shows what happened to this file at the end (docs/timeline.md)")
	cmd.Flags().BoolVar(&flags.once, "once", false, "print the status and end; opens no port")
	addOutput(cmd, &flags.output)
	return cmd
}

func runDev(ctx context.Context, std streams, flags devFlags) error {
	if err := checkOutput(flags.output); err != nil {
		return err
	}
	name, data, err := devClusterFile(flags.cluster)
	if err != nil {
		return failed(err)
	}
	file, err := clusterfile.Parse(name, data)
	if err != nil {
		return failed(err)
	}
	for _, w := range file.Warnings {
		fmt.Fprintln(std.err, "warning:", w)
	}
	if file.Notice != "" {
		return exitError{3, errors.New(file.Notice)}
	}
	type deps struct {
		fx.In
		Cluster *devCluster
	}
	err = withApp(ctx, func(ctx context.Context, d deps) error { return d.Cluster.run(ctx, flags) }, devParts(std, file, flags))
	if err != nil {
		return failed(err)
	}
	return nil
}

// run applies the Services and then does what standard input says. What the auditors find makes it fail.
func (c *devCluster) run(ctx context.Context, flags devFlags) error {
	err := c.serve(ctx, flags)
	c.report(c.violations())
	if c.told > 0 {
		err = errors.Join(err, fmt.Errorf("%d violations", c.told))
	}
	return errors.Join(err, c.writeReport(flags))
}

func (c *devCluster) serve(ctx context.Context, flags devFlags) error {
	services, err := devServices(flags, c.fresh)
	if err != nil {
		return err
	}
	if err := c.applyServices(ctx, services); err != nil {
		return err
	}
	if err := c.printStatus(ctx, flags.output); err != nil || flags.once {
		return err
	}
	return c.converse(ctx, flags)
}

func checkOutput(output string) error {
	for _, known := range outputs {
		if output == known {
			return nil
		}
	}
	return exitError{2, fmt.Errorf("output %q is unknown; use one of %s", output, strings.Join(outputs, ", "))}
}

// converse does what comes: verbs until the end of a pipe, `quit`, or a signal, and what changes in the folder of
// manifests. A terminal's or /dev/null's end keeps the cluster up until a signal. Everything happens in this goroutine.
func (c *devCluster) converse(ctx context.Context, flags devFlags) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	lines := c.readLines(ctx)
	seen := c.watchServices(ctx, flags.services)
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	wrong := 0
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C: // the rebalance after a start may be due by time alone
			if len(control.Due(c.controller.State(), time.Now().UnixNano())) > 0 {
				c.report(c.settle(ctx))
			}
			c.report(c.violations())
		case services := <-seen:
			c.report(c.applyServices(ctx, services))
		case line, more := <-lines:
			if !more {
				if staysUp(c.std.in) {
					lines = nil
					continue
				}
				return verbsFailed(wrong)
			}
			c.trace.typed(line)
			quit, err := c.verb(ctx, strings.Fields(line), flags.output)
			if c.report(err); err != nil {
				wrong++
			}
			if quit {
				return verbsFailed(wrong)
			}
		}
	}
}

func (c *devCluster) report(err error) {
	if err != nil {
		fmt.Fprintln(c.std.err, "error:", err)
	}
}

func (c *devCluster) readLines(ctx context.Context) <-chan string {
	lines := make(chan string)
	go func() {
		defer close(lines)
		for scanner := bufio.NewScanner(c.std.in); scanner.Scan(); {
			select {
			case lines <- scanner.Text():
			case <-ctx.Done():
				return
			}
		}
	}()
	return lines
}

// watchServices gives the whole of the folder whenever it changes; nothing for no folder. A file that cannot be read is
// reported, and the last good view stays.
func (c *devCluster) watchServices(ctx context.Context, folder string) <-chan control.Observed {
	seen := make(chan control.Observed)
	if folder == "" {
		return seen
	}
	c.running.Go(func() {
		err := manifest.Watch(ctx, folder, func(read manifest.Manifests, err error) {
			if err != nil {
				c.report(err)
				return
			}
			select {
			case seen <- read.Observed(sourceManifests):
			case <-ctx.Done():
			}
		})
		c.report(err)
	})
	return seen
}

func verbsFailed(wrong int) error {
	if wrong > 0 {
		return fmt.Errorf("%d verbs failed", wrong)
	}
	return nil
}

// staysUp tells whether the end of standard input is no wish to quit: a device, like a terminal or /dev/null.
func staysUp(in io.Reader) bool {
	f, ok := in.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeDevice != 0
}

const devHelp = `verbs:
  fail NODE                  the node loses power; the voters prove it, and its addresses move
  join NODE                  the node has power again
  drain NODE, undrain NODE   no addresses on the node; and again
  apply FILE                 a cluster file or Service manifests
  delete service NS/NAME     delete a Service
  rebalance                  even out the addresses with the fewest moves
  status                     print Services, pools and nodes
  help, quit`

// verb does one verb and returns when its facts are folded by every replica.
func (c *devCluster) verb(ctx context.Context, words []string, output string) (quit bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	switch {
	case len(words) == 0:
		return false, nil
	case words[0] == "quit":
		return true, nil
	case words[0] == "help":
		fmt.Fprintln(c.std.err, devHelp)
		return false, nil
	case words[0] == "status":
		return false, c.printStatus(ctx, output)
	case words[0] == "rebalance":
		return false, c.submit(ctx, one(event.RebalanceRequested{Reason: event.RebalanceByOperator}))
	case words[0] == "delete" && len(words) == 3 && words[1] == "service":
		return false, c.deleteService(ctx, words[2])
	case len(words) != 2:
		return false, fmt.Errorf("verb %q is unknown or incomplete; 'help' lists the verbs", strings.Join(words, " "))
	}
	switch words[0] {
	case "apply":
		return false, c.applyFile(ctx, words[1])
	case "fail":
		return false, c.failNode(ctx, words[1])
	case "join":
		return false, c.joinNode(ctx, words[1])
	case "drain", "undrain":
		return false, c.drainNode(ctx, words[1], words[0] == "drain")
	}
	return false, fmt.Errorf("verb %q is unknown; 'help' lists the verbs", words[0])
}

// one is the plan of a single fact, whatever the ledger holds.
func one(e event.Event) func(*ledger.State) ([]event.Event, error) {
	return func(*ledger.State) ([]event.Event, error) { return []event.Event{e}, nil }
}

func (c *devCluster) deleteService(ctx context.Context, name string) error {
	namespace, service, ok := strings.Cut(name, "/")
	if !ok {
		return fmt.Errorf("service %q: NAMESPACE/NAME is required", name)
	}
	return c.submit(ctx, func(s *ledger.State) ([]event.Event, error) {
		spec, ok := s.ServiceSpec(ledger.ServiceKey{Namespace: namespace, Name: service})
		if !ok {
			return nil, fmt.Errorf("service %s: there is no such Service", name)
		}
		return []event.Event{event.ServiceDeleted{Namespace: namespace, Name: service, Source: spec.Source}}, nil
	})
}

// applyFile applies a file as `viplog apply` does.
func (c *devCluster) applyFile(ctx context.Context, path string) error {
	w, err := readWanted([]string{path}, strings.NewReader(""))
	if err != nil {
		return err
	}
	if w.notice != "" {
		return errors.New(w.notice)
	}
	return c.submit(ctx, w.facts)
}

// clusterOf gives control what the cluster file declares.
func clusterOf(f *clusterfile.File) control.Cluster {
	return control.Cluster{Cluster: f.Cluster, Pools: f.Pools, Settings: f.Settings}
}
