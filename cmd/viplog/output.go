package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/netip"
	"strings"
	"text/tabwriter"

	"sigs.k8s.io/yaml"

	"viplog/core/ledger"
)

// apiVersion heads every json and yaml object that a command prints.
const apiVersion = "viplog/v1"

// outputs are the values of -o.
var outputs = []string{"table", "wide", "json", "yaml"}

// row is a view that knows its table.
type row interface {
	TableHeader(wide bool) []string
	TableRow(wide bool) []string
}

// statusView is the whole of what a user sees of a cluster.
type statusView struct {
	APIVersion string               `json:"apiVersion"`
	Kind       string               `json:"kind"`
	Services   []ledger.ServiceView `json:"services"`
	Addresses  []ledger.AddressView `json:"addresses"`
	Pools      []ledger.PoolView    `json:"pools"`
	Nodes      []ledger.NodeView    `json:"nodes"`
}

func statusOf(s *ledger.State, replicas map[netip.Addr]ledger.Progress) statusView {
	return statusView{
		APIVersion: apiVersion, Kind: "Status",
		Services: s.ServiceViews(), Addresses: s.AddressViews(), Pools: s.PoolViews(), Nodes: s.NodeViews(replicas),
	}
}

func (v statusView) print(w io.Writer, output string) error {
	if output == "json" || output == "yaml" {
		return printObject(w, output, v)
	}
	wide := output == "wide"
	tables := []func() error{
		func() error { return printTable(w, v.Services, wide) },
		func() error { return printTable(w, v.Pools, wide) },
		func() error { return printTable(w, v.Nodes, wide) },
	}
	for i, table := range tables {
		if i > 0 {
			fmt.Fprintln(w)
		}
		if err := table(); err != nil {
			return err
		}
	}
	return nil
}

// printObject prints one json object on one line, or one yaml document.
func printObject(w io.Writer, output string, object any) error {
	if output == "yaml" {
		text, err := yaml.Marshal(object)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(w, "---\n%s", text)
		return err
	}
	text, err := json.Marshal(object)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(w, "%s\n", text)
	return err
}

func printTable[R row](w io.Writer, rows []R, wide bool) error {
	var zero R
	table := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
	fmt.Fprintln(table, strings.Join(zero.TableHeader(wide), "\t"))
	for _, r := range rows {
		cells := r.TableRow(wide)
		for i, cell := range cells {
			if cell == "" {
				cells[i] = "-"
			}
		}
		fmt.Fprintln(table, strings.Join(cells, "\t"))
	}
	return table.Flush()
}
