package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strings"

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
	var yes bool
	cmd := &cobra.Command{
		Use:   "apply -f FILE…",
		Short: "Append what cluster files and Service manifests change, after showing what follows from it",
		Long: "Compares cluster files and Service manifests with the ledger, shows what would follow (as plan does), asks,\n" +
			"and appends the facts that are missing, all or none. If the log moves on in between and something else would\n" +
			"follow, nothing is appended and the new plan is shown. An edit of a field that GDCV holds immutable is\n" +
			"refused, and the log stays as it was.",
		Example: "  viplog apply -f cluster.yaml\n  cat service.yaml | viplog apply --yes -f -",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			wanted, err := readWanted(files, std.in)
			if err != nil {
				return failed(err)
			}
			wanted.warn(std.err)
			if wanted.notice != "" {
				return exitError{3, errors.New(wanted.notice)}
			}
			return withClient(cmd.Context(), flags, func(ctx context.Context, c *client) error {
				return c.apply(ctx, std, wanted, yes)
			})
		},
	}
	flags.add(cmd)
	addFiles(cmd, &files)
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	return cmd
}

func addFiles(cmd *cobra.Command, files *[]string) {
	cmd.Flags().StringArrayVarP(files, "filename", "f", nil, "file or folder, - for standard input; may be repeated")
	_ = cmd.MarkFlagRequired("filename")
}

func newPlan(std streams) *cobra.Command {
	from := reader{err: std.err}
	var files []string
	var output string
	cmd := &cobra.Command{
		Use:   "plan -f FILE…",
		Short: "Show what cluster files and Service manifests would change, and change nothing",
		Long: "Folds the edit on a copy of the ledger and shows what would follow from it.\n" +
			"Exit codes: 0 nothing would change, 1 something would, 2 an error.",
		Example: "  viplog plan -f cluster.yaml",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := checkOutput(output); err != nil {
				return err
			}
			wanted, err := readWanted(files, std.in)
			if err != nil {
				return exitError{2, err}
			}
			wanted.warn(std.err)
			if wanted.notice != "" {
				return exitError{3, errors.New(wanted.notice)}
			}
			s, err := from.fold(cmd.Context(), moment{}, nil)
			if err != nil {
				return exitError{2, err}
			}
			plan, err := planOf(s, wanted)
			if err != nil {
				return exitError{2, err}
			}
			if err := plan.print(std.out, output); err != nil {
				return exitError{2, err}
			}
			if len(plan.Facts) > 0 {
				return exitError{1, errors.New("")}
			}
			return nil
		},
	}
	from.add(cmd)
	addFiles(cmd, &files)
	addOutput(cmd, &output)
	return cmd
}

// planView is what would follow from an edit.
type planView struct {
	APIVersion string        `json:"apiVersion"`
	Kind       string        `json:"kind"`
	Sequence   uint64        `json:"sequence"` // of the last fact of the ledger that it was made for
	Facts      []plannedFact `json:"facts"`
	Changes    []string      `json:"changes"`
}

// plannedFact is a fact that would be appended.
type plannedFact struct {
	Type   string `json:"type"`
	Entity string `json:"entity"`
}

// planOf folds an edit on a copy of the ledger.
func planOf(s *ledger.State, w wanted) (planView, error) {
	facts, err := w.facts(s)
	if err != nil {
		return planView{}, err
	}
	return planFacts(s, facts)
}

// planFacts folds facts on a copy of the ledger.
func planFacts(s *ledger.State, facts []event.Event) (planView, error) {
	plan := planView{APIVersion: apiVersion, Kind: "Plan", Sequence: s.Sequence(), Facts: []plannedFact{}, Changes: []string{}}
	for _, e := range facts {
		plan.Facts = append(plan.Facts, plannedFact{shortType(event.TypeOf(e)), e.Entity()})
	}
	after := s.Clone()
	changes, err := replica.Rehearse(after, facts)
	for _, c := range changes {
		plan.Changes = append(plan.Changes, after.Describe(c))
	}
	return plan, err
}

func (p planView) print(w io.Writer, output string) error {
	if output == "json" || output == "yaml" {
		return printObject(w, output, p)
	}
	if len(p.Facts) == 0 {
		_, err := fmt.Fprintln(w, "nothing to change")
		return err
	}
	for _, change := range p.Changes {
		fmt.Fprintln(w, change)
	}
	_, err := fmt.Fprintf(w, "%s, %s\n", counted(len(p.Facts), "fact"), counted(len(p.Changes), "change"))
	return err
}

func counted(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
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

func (w wanted) warn(out io.Writer) {
	for _, warning := range w.warnings {
		fmt.Fprintln(out, "warning:", warning)
	}
}

// apply shows what would follow from an edit, asks unless told not to, and carries out what it showed.
func (c *client) apply(ctx context.Context, std streams, w wanted, yes bool) error {
	source := fmt.Sprintf("cli/%d", os.Getpid())
	return c.withReplica(ctx, source, nil, func(ctx context.Context, r *replica.Replica) error {
		for {
			plan, err := planOf(r.State(), w)
			if err != nil {
				return err
			}
			if err := plan.print(std.out, "table"); err != nil || len(plan.Facts) == 0 {
				return err
			}
			if !yes {
				if err := confirm(std); err != nil {
					return err
				}
			}
			if err := carryOut(ctx, r, w, plan); !errors.Is(err, errPlanMoved) {
				return err
			}
			fmt.Fprintln(std.err, "the log has moved on, and something else would follow now:")
		}
	})
}

// carryOut appends an edit, if the same would still follow from it.
func carryOut(ctx context.Context, r *replica.Replica, w wanted, shown planView) error {
	_, err := r.SubmitAtHead(ctx, func(s *ledger.State) ([]event.Event, error) {
		now, err := planOf(s, w)
		if err == nil && !slices.Equal(now.Changes, shown.Changes) && len(shown.Facts) <= log.MaxBatch {
			err = errPlanMoved
		}
		if err != nil {
			return nil, err
		}
		return w.facts(s)
	})
	return err
}

// confirm asks a person. Without one the edit needs --yes.
func confirm(std streams) error {
	if in, ok := std.in.(*os.File); !ok || !isTerminal(in) {
		return errors.New("standard input is no terminal to ask: use --yes to apply this")
	}
	fmt.Fprint(std.err, "Apply this? [y/N] ")
	var answer string
	if _, err := fmt.Fscanln(std.in, &answer); err != nil || !strings.EqualFold(answer, "y") && !strings.EqualFold(answer, "yes") {
		return errors.New("not applied")
	}
	return nil
}

func isTerminal(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

var errPlanMoved = errors.New("the log moved on")
