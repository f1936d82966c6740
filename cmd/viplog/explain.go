package main

import (
	"fmt"
	"io"
	"net/netip"
	"strings"

	"github.com/spf13/cobra"

	"viplog/core/frontend"
	"viplog/core/ledger"
	"viplog/core/log"
)

var subjectKinds = []string{"service", "address", "node", "pool"}

func newExplain(std streams) *cobra.Command {
	q := question{reader: reader{err: std.err}}
	cmd := &cobra.Command{
		Use:   "explain service NS/NAME | address IP | node NAME | pool NAME",
		Short: "Say why something is as it is, rule by rule, with the facts it rests on",
		Example: "  viplog explain service shop/web\n  viplog explain address 10.200.0.76\n" +
			"  viplog explain node lb-1 --at 10m",
		ValidArgsFunction: completeSubjects(&q.reader),
		Args:              cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			facts := newFactIndex()
			s, err := q.ask(cmd.Context(), facts.visit)
			if err != nil {
				return err
			}
			e, err := explanationOf(s, args[0], args[1])
			if err != nil {
				return asFailure(err)
			}
			return facts.explained(e).print(std.out, q.output)
		},
	}
	q.add(cmd)
	return cmd
}

func explanationOf(s *ledger.State, kind, name string) (ledger.Explanation, error) {
	var e ledger.Explanation
	found := false
	switch kind {
	case "service":
		key, err := parseServiceKey(name)
		if err != nil {
			return e, err
		}
		e, found = s.ExplainService(key)
	case "address":
		a, err := netip.ParseAddr(name)
		if err != nil {
			return e, fmt.Errorf("address %q: an IP address is required", name)
		}
		if e, found = frontend.Explain(s, a); found {
			return e, nil
		}
		if e, found = s.ExplainAddress(a); !found {
			return e, fmt.Errorf("address %s: it is in no pool and in no use, and is not the control plane's", a)
		}
	case "node":
		if n, ok := s.NodeNamed(name); ok {
			e, found = s.ExplainNode(n.Address)
		}
	case "pool":
		e, found = s.ExplainPool(name)
	default:
		return e, exitError{2, fmt.Errorf("%q cannot be explained; use one of %s", kind, strings.Join(subjectKinds, ", "))}
	}
	if !found && kind == "service" {
		return e, fmt.Errorf("service %s: there is none; only those of type LoadBalancer are here, and %s", name, classOf(s))
	}
	if !found {
		return e, fmt.Errorf("%s %s: there is none", kind, name)
	}
	return e, nil
}

// classOf says which Services are the cluster's, among others of their type.
func classOf(s *ledger.State) string {
	if class := s.Settings().LoadBalancerClass; class != "" {
		return "of loadBalancerClass " + class
	}
	return "without a loadBalancerClass"
}

func parseServiceKey(name string) (ledger.ServiceKey, error) {
	namespace, service, ok := strings.Cut(name, "/")
	if !ok || namespace == "" || service == "" {
		return ledger.ServiceKey{}, fmt.Errorf("service %q: NAMESPACE/NAME is required", name)
	}
	return ledger.ServiceKey{Namespace: namespace, Name: service}, nil
}

// factIndex remembers, while a log is folded, the newest fact of each entity and why each Service got its addresses.
type factIndex struct {
	newest map[string]log.Entry
	given  map[string]string // by service and address
}

func newFactIndex() *factIndex {
	return &factIndex{newest: map[string]log.Entry{}, given: map[string]string{}}
}

func (x *factIndex) visit(e log.Entry, _ *ledger.State, changes []ledger.Change) {
	x.newest[e.Entity] = log.Entry{Sequence: e.Sequence, Time: e.Time, Fact: log.Fact{Source: e.Source}}
	for _, c := range changes {
		if c.Kind == ledger.Allocated {
			x.given[c.Service.String()+" "+c.Address.String()] = fmt.Sprintf("given by fact %d: %s", e.Sequence, c.Reason)
		}
	}
}

// explanationView is an explanation with the sequences of its facts.
type explanationView struct {
	APIVersion string     `json:"apiVersion"`
	Kind       string     `json:"kind"`
	Subject    string     `json:"subject"`
	Summary    string     `json:"summary"`
	Steps      []stepView `json:"steps"`
}

type stepView struct {
	Rule    string     `json:"rule"`
	Verdict string     `json:"verdict"`
	Detail  string     `json:"detail"`
	Facts   []factView `json:"facts"`
}

type factView struct {
	Sequence uint64 `json:"sequence"`
	Entity   string `json:"entity"`
	Source   string `json:"source"`
}

func (x *factIndex) explained(e ledger.Explanation) explanationView {
	view := explanationView{APIVersion: apiVersion, Kind: "Explanation", Subject: e.Subject, Summary: e.Summary, Steps: []stepView{}}
	for _, step := range e.Steps {
		shown := stepView{Rule: step.Rule, Verdict: step.Verdict, Detail: step.Detail, Facts: []factView{}}
		for _, entity := range step.Entities {
			if fact, ok := x.newest[entity]; ok {
				shown.Facts = append(shown.Facts, factView{fact.Sequence, entity, fact.Source})
			}
		}
		view.Steps = append(view.Steps, shown)
		if name, ok := strings.CutPrefix(e.Subject, "service "); ok && step.Rule == "address" {
			address, _, _ := strings.Cut(step.Detail, " ")
			if why, ok := x.given[name+" "+address]; ok {
				view.Steps = append(view.Steps, stepView{Rule: "given", Verdict: step.Verdict, Detail: why, Facts: []factView{}})
			}
		}
	}
	return view
}

func (v explanationView) print(w io.Writer, output string) error {
	if output == "json" || output == "yaml" {
		return printObject(w, output, v)
	}
	if _, err := fmt.Fprintf(w, "%s %s\n\n", v.Subject, v.Summary); err != nil {
		return err
	}
	return printTable(w, v.Steps, output == "wide")
}

// TableHeader names the columns of a table of steps.
func (stepView) TableHeader(bool) []string { return []string{"RULE", "HOLDS", "WHY", "FACTS"} }

// TableRow is one row under TableHeader.
func (v stepView) TableRow(wide bool) []string {
	var facts []string
	for _, f := range v.Facts {
		text := fmt.Sprint(f.Sequence)
		if wide {
			text += " " + f.Entity + " by " + f.Source
		}
		facts = append(facts, text)
	}
	return []string{v.Rule, v.Verdict, v.Detail, strings.Join(facts, ", ")}
}
