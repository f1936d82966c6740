package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"viplog/adapters/clusterfile"
)

func newValidate(std streams) *cobra.Command {
	return &cobra.Command{
		Use:     "validate FILE…",
		Short:   "Check cluster files and print every mistake with its line",
		Example: "  viplog validate cluster.yaml",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(_ *cobra.Command, paths []string) error {
			wrong := 0
			for _, path := range paths {
				data, err := os.ReadFile(path)
				if err != nil {
					return failed(err)
				}
				file, err := clusterfile.Parse(path, data)
				if err != nil {
					fmt.Fprintln(std.err, err)
					wrong++
					continue
				}
				for _, w := range file.Warnings {
					fmt.Fprintln(std.err, "warning:", w)
				}
				if file.Notice != "" {
					fmt.Fprintln(std.err, "note:", file.Notice)
				}
				fmt.Fprintf(std.out, "%s: valid\n", path)
			}
			if wrong > 0 {
				return failed(fmt.Errorf("%d of %d files are not valid", wrong, len(paths)))
			}
			return nil
		},
	}
}
