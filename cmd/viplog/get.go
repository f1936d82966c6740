package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"viplog/core/ledger"
)

// listView is one kind of rows as an object.
type listView[R row] struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Items      []R    `json:"items"`
}

// getters are what `viplog get` can list.
var getters = map[string]func(io.Writer, string, *ledger.State) error{
	"services": func(w io.Writer, output string, s *ledger.State) error {
		return printList(w, output, "ServiceList", s.ServiceViews())
	},
	"addresses": func(w io.Writer, output string, s *ledger.State) error {
		return printList(w, output, "AddressList", s.AddressViews())
	},
	"pools": func(w io.Writer, output string, s *ledger.State) error {
		return printList(w, output, "PoolList", s.PoolViews())
	},
	"nodes": func(w io.Writer, output string, s *ledger.State) error {
		return printList(w, output, "NodeList", s.NodeViews(nil))
	},
}

var getKinds = []string{"services", "addresses", "pools", "nodes"}

func newGet(std streams) *cobra.Command {
	q := question{reader: reader{err: std.err}}
	cmd := &cobra.Command{
		Use:       "get services|addresses|pools|nodes",
		Short:     "List what the ledger holds, folded from the log here and now",
		Example:   "  viplog get services\n  viplog get nodes -o wide",
		ValidArgs: getKinds,
		Args:      cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			get, ok := getters[args[0]]
			if !ok {
				return exitError{2, fmt.Errorf("%q cannot be listed; use one of %s", args[0], strings.Join(getKinds, ", "))}
			}
			s, err := q.ask(cmd.Context(), nil)
			if err != nil {
				return err
			}
			return get(std.out, q.output, s)
		},
	}
	q.add(cmd)
	return cmd
}

func printList[R row](w io.Writer, output, kind string, rows []R) error {
	if output == "json" || output == "yaml" {
		return printObject(w, output, listView[R]{APIVersion: apiVersion, Kind: kind, Items: rows})
	}
	return printTable(w, rows, output == "wide")
}

func addOutput(cmd *cobra.Command, output *string) {
	cmd.Flags().StringVarP(output, "output", "o", "table", "output: "+strings.Join(outputs, ", "))
	_ = cmd.RegisterFlagCompletionFunc("output", cobra.FixedCompletions(outputs, cobra.ShellCompDirectiveNoFileComp))
}
