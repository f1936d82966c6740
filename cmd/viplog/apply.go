package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"

	"github.com/spf13/cobra"

	"viplog/adapters/clusterfile"
	"viplog/adapters/manifest"
	"viplog/adapters/replica"
	"viplog/core/control"
	"viplog/core/event"
	"viplog/core/ledger"
	"viplog/core/log"
)

// sourceApply is the source of Services that an operator applies by hand.
const sourceApply = "apply"

func newApply(std streams) *cobra.Command {
	var flags clientFlags
	var files []string
	cmd := &cobra.Command{
		Use:   "apply -f FILE…",
		Short: "Append what cluster files and Service manifests change, and print what follows from it",
		Long: "Compares cluster files and Service manifests with the ledger, appends the facts that are missing and\n" +
			"prints every change that follows. An edit of a field that GDCV holds immutable is refused, and the log\n" +
			"stays as it was.",
		Example: "  viplog apply -f cluster.yaml\n  cat service.yaml | viplog apply -f -",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			wanted, err := readWanted(files, std.in)
			if err != nil {
				return failed(err)
			}
			for _, w := range wanted.warnings {
				fmt.Fprintln(std.err, "warning:", w)
			}
			if wanted.notice != "" {
				return exitError{3, errors.New(wanted.notice)}
			}
			return withClient(cmd.Context(), flags, func(ctx context.Context, c *client) error {
				return c.apply(ctx, std.out, wanted)
			})
		},
	}
	flags.add(cmd)
	cmd.Flags().StringArrayVarP(&files, "filename", "f", nil, "file or folder, - for standard input; may be repeated")
	_ = cmd.MarkFlagRequired("filename")
	return cmd
}

// wanted is what the operator's files declare.
type wanted struct {
	cluster  *clusterfile.File // nil: no cluster file among them
	services control.Observed
	warnings []clusterfile.Problem
	notice   string
}

var clusterKind = regexp.MustCompile(`(?m)^kind:[ \t]*["']?Cluster["']?[ \t]*\r?$`)

// readWanted sorts the files by what they hold: one with a Cluster document is a cluster file, the others are manifests.
func readWanted(paths []string, stdin io.Reader) (wanted, error) {
	var w wanted
	var manifests []string
	var errs []error
	for _, path := range paths {
		if path == "-" {
			data, err := io.ReadAll(io.LimitReader(stdin, manifest.MaxFileBytes+1))
			if err != nil {
				return w, err
			}
			stdin = bytes.NewReader(data)
			if !clusterKind.Match(data) {
				manifests = append(manifests, path)
				continue
			}
			errs = append(errs, w.readCluster("standard input", data))
			continue
		}
		info, err := os.Stat(path)
		if err != nil {
			return w, err
		}
		if info.IsDir() {
			manifests = append(manifests, path)
			continue
		}
		data, err := os.ReadFile(path)
		switch {
		case err != nil:
			return w, err
		case clusterKind.Match(data):
			errs = append(errs, w.readCluster(path, data))
		default:
			manifests = append(manifests, path)
		}
	}
	if len(manifests) > 0 {
		read, err := manifest.Read(manifests, stdin)
		errs = append(errs, err)
		w.services = read.Observed(sourceApply)
	}
	w.services.Source, w.services.Partial = sourceApply, true
	return w, errors.Join(errs...)
}

func (w *wanted) readCluster(name string, data []byte) error {
	if w.cluster != nil {
		return fmt.Errorf("%s: a second cluster file; apply one at a time", name)
	}
	file, err := clusterfile.Parse(name, data)
	if err != nil {
		return err
	}
	w.cluster, w.warnings, w.notice = file, file.Warnings, file.Notice
	return nil
}

// facts plans the whole edit.
func (w wanted) facts(s *ledger.State) ([]event.Event, error) {
	var facts []event.Event
	if w.cluster != nil {
		declared, refused := control.ClusterFacts(s, clusterOf(w.cluster))
		if err := refusals(w.cluster, refused); err != nil {
			return nil, err
		}
		facts = declared
	}
	services, refused := control.ServiceFacts(s, w.services)
	var errs []error
	for _, r := range refused {
		errs = append(errs, fmt.Errorf("%s: %s", r.Field, r.Reason))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return append(facts, services...), nil
}

// refusals puts the edits that are not allowed at their lines of the cluster file.
func refusals(file *clusterfile.File, refused []control.Refusal) error {
	var errs []error
	for _, r := range refused {
		errs = append(errs, errors.New(file.Problem(r.Field, r.Value, r.Reason).String()))
	}
	return errors.Join(errs...)
}

// apply appends the edit and prints each change of its own facts. A rejected fact fails the command.
func (c *client) apply(ctx context.Context, out io.Writer, w wanted) error {
	source := fmt.Sprintf("cli/%d", os.Getpid())
	var state *ledger.State
	var changes []ledger.Change
	notify := func(e log.Entry, caused []ledger.Change) {
		if e.Source == source {
			changes = append(changes, caused...)
		}
	}
	err := c.withReplica(ctx, source, notify, func(ctx context.Context, r *replica.Replica) error {
		_, err := r.Submit(ctx, w.facts)
		state = r.State()
		return err
	})
	if err != nil {
		return err
	}
	rejected := 0
	for _, change := range changes {
		fmt.Fprintln(out, state.Describe(change))
		if change.Kind == ledger.Rejected {
			rejected++
		}
	}
	if len(changes) == 0 {
		fmt.Fprintln(out, "nothing to change")
	}
	if rejected > 0 {
		return fmt.Errorf("%d facts were rejected", rejected)
	}
	return nil
}
