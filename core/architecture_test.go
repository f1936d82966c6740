package core

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// What core may import; a name that ends in /* allows the package and all below it.
var coreImports = []string{
	"bytes", "cmp", "crypto/sha256", "crypto/ed25519", "encoding/*", "errors", "fmt", "hash/*", "iter", "maps", "math/bits",
	"net/netip", "slices", "strconv", "strings", "time", "unicode/*", "github.com/tidwall/btree", "go4.org/netipx",
	"viplog/core/*",
}

// Checking a signature is a function of its arguments; making a key is not.
var ed25519Names = []string{"Verify", "PublicKey", "PublicKeySize", "SignatureSize"}

var clockNames = []string{"Now", "Since", "Until", "After", "Sleep", "Tick", "NewTimer", "NewTicker", "AfterFunc"}

// What is there although a rule forbids it, as file and message, each with why it is harmless. The list may only shrink.
var knownViolations = map[string]string{
	`core/event/codec.go: core may not import "io"`: "compares with the value io.EOF that json.Decoder.Token gives; reads nothing",
	"core/ipset/count.go: float literal 1e18":       "an untyped constant that becomes a uint64",
}

func TestTheTreeKeepsTheArchitecture(t *testing.T) {
	root, files := "..", 0
	err := filepath.WalkDir(root, func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			if name != root && (strings.HasPrefix(entry.Name(), ".") || entry.Name() == "testdata") {
				return fs.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			return nil
		}
		files++
		relative, err := filepath.Rel(root, name)
		if err != nil {
			return err
		}
		for _, v := range violations(filepath.ToSlash(relative), name, nil) {
			t.Error(v)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if files < 20 {
		t.Errorf("only %d files were found below %s: the test looks at the wrong place", files, root)
	}
}

func TestEachArchitectureRuleBites(t *testing.T) {
	for _, c := range []struct{ name, file, body, want string }{
		{"import of I/O", "core/x/x.go", `import "os"`, `core/x/x.go:2: core may not import "os"`},
		{"import of chance", "core/x/x.go", `import "math/rand/v2"`, `core may not import "math/rand/v2"`},
		{"a prefix is not a folder", "core/x/x.go", `import "viplog/corex"`, `core may not import "viplog/corex"`},
		{"context outside core/log", "core/x/x.go", `import "context"`, `context is for core/log only`},
		{"context below core/log", "core/log/x/x.go", `import "context"`, `context is for core/log only`},
		{"dot import", "core/x/x.go", `import . "time"`, `a dot import hides`},
		{"making keys", "core/x/x.go", "import \"crypto/ed25519\"\nvar _ = ed25519.GenerateKey", `core/x/x.go:3: ed25519.GenerateKey`},
		{"making keys under another name", "core/x/x.go", "import e \"crypto/ed25519\"\nvar _ = e.Sign", `ed25519.Sign`},
		{"go statement", "core/x/x.go", "func f() {\n\tgo f()\n}", "core/x/x.go:3: go statement"},
		{"select", "core/x/x.go", "func f() { select {} }", "select statement"},
		{"channel type", "core/x/x.go", "var c chan int", "channel type"},
		{"float32", "core/x/x.go", "var x float32", "float32"},
		{"float64", "core/x/x.go", "func f(x []float64) {}", "float64"},
		{"float literal", "core/x/x.go", "const x = 1.5", "float literal 1.5"},
		{"core imports adapters", "core/x/x.go", `import "viplog/adapters/manifest"`, "core imports no adapters, sim or cmd"},
		{"core imports sim", "core/x/x.go", `import "viplog/sim"`, "core imports no adapters, sim or cmd"},
		{"core imports cmd", "core/x/x.go", `import "viplog/cmd/viplog"`, "nothing imports cmd"},
		{"a core test package imports adapters", "core/x/xtest/x.go", `import "viplog/adapters/a"`, "core imports no adapters, sim or cmd"},
		{"sim imports adapters", "sim/x.go", `import "viplog/adapters/manifest"`, "sim imports only core"},
		{"an adapter imports another", "adapters/a/x.go", `import "viplog/adapters/b"`, "adapters/a knows no other adapter"},
		{"a prefix is not the same adapter", "adapters/a/x.go", `import "viplog/adapters/ab"`, "adapters/a knows no other adapter"},
		{"an adapter imports fx", "adapters/a/x.go", `import "go.uber.org/fx"`, "go.uber.org/fx is for cmd only"},
		{"an adapter imports a part of fx", "adapters/a/x.go", `import "go.uber.org/fx/fxevent"`, "go.uber.org/fx is for cmd only"},
		{"sim imports fx", "sim/x.go", `import "go.uber.org/fx"`, "go.uber.org/fx is for cmd only"},
		{"an adapter imports cmd", "adapters/a/x.go", `import "viplog/cmd/viplog"`, "nothing imports cmd"},
		{"a syntax error", "core/x/x.go", "func", "core/x/x.go:"},
	} {
		t.Run(c.name, func(t *testing.T) { wantViolation(t, c.file, c.body, c.want) })
	}
	for _, name := range clockNames {
		t.Run("time."+name, func(t *testing.T) {
			wantViolation(t, "core/x/x.go", "import \"time\"\nvar _ = time."+name, "core/x/x.go:3: time."+name)
			wantViolation(t, "core/x/x.go", "import clock \"time\"\nvar _ = clock."+name, "time."+name)
		})
	}
}

func TestWhatTheArchitectureAllows(t *testing.T) {
	for _, c := range []struct{ name, file, body string }{
		{"durations", "core/x/x.go", "import \"time\"\nconst d = 3 * time.Second\nfunc f(a, b time.Time) bool { return a.After(b) }"},
		{"an argument called time", "core/x/x.go", "import clock \"time\"\nfunc f(time clock.Time) bool { return time.After(time) }"},
		{"checking a signature", "core/x/x.go", "import \"crypto/ed25519\"\nvar k ed25519.PublicKey\nvar _ = ed25519.Verify"},
		{"families of packages", "core/x/x.go", "import (\n\"encoding/json\"\n\"hash\"\n\"hash/crc32\"\n\"unicode\"\n\"unicode/utf8\"\n)"},
		{"context in core/log", "core/log/x.go", `import "context"`},
		{"a test package's I/O", "core/log/logtest/x.go", "import \"sync\"\nvar c chan float64"},
		{"sim imports core and itself", "sim/a/x.go", "import (\n\"viplog/core/event\"\n\"viplog/sim\"\n)"},
		{"an adapter imports its own test package", "adapters/a/b/x.go", `import "viplog/adapters/a"`},
		{"cmd imports all", "cmd/viplog/x.go", "import (\n\"go.uber.org/fx\"\n\"viplog/adapters/a\"\n\"viplog/sim\"\n)"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if found := violations(c.file, c.file, source(c.file, c.body)); len(found) > 0 {
				t.Errorf("unexpected: %q", found)
			}
		})
	}
}

func wantViolation(t *testing.T, file, body, want string) {
	t.Helper()
	found := violations(file, file, source(file, body))
	if !slices.ContainsFunc(found, func(v string) bool { return strings.Contains(v, want) }) {
		t.Errorf("want a violation with %q, got %q", want, found)
	}
}

func source(file, body string) string {
	return "package " + path.Base(path.Dir(file)) + "\n" + body + "\n"
}

// violations checks one file, known by its path in the module; text is as for parser.ParseFile.
func violations(file, name string, text any) []string {
	set := token.NewFileSet()
	tree, err := parser.ParseFile(set, name, text, 0)
	if err != nil {
		return []string{fmt.Sprintf("%s: does not parse: %v", file, err)}
	}
	var found []string
	report := func(at token.Pos, format string, args ...any) {
		message := fmt.Sprintf(format, args...)
		if _, known := knownViolations[file+": "+message]; !known {
			found = append(found, fmt.Sprintf("%s:%d: %s", file, set.Position(at).Line, message))
		}
	}
	pure := below(file, "core") && !strings.HasSuffix(tree.Name.Name, "test")
	names := map[string]string{} // the name that a file calls a package by: its path
	for _, spec := range tree.Imports {
		imported, _ := strconv.Unquote(spec.Path.Value)
		if why := arrow(file, imported); why != "" {
			report(spec.Pos(), "%q: %s", imported, why)
		}
		local := path.Base(imported)
		if spec.Name != nil {
			local = spec.Name.Name
		}
		names[local] = imported
		if pure {
			importIsPure(file, spec, imported, report)
		}
	}
	if pure {
		ast.Inspect(tree, func(n ast.Node) bool {
			nodeIsPure(n, names, report)
			return true
		})
	}
	return found
}

type reporter func(at token.Pos, format string, args ...any)

// arrow says why a file may not import a package, or nothing.
func arrow(file, imported string) string {
	adapter := ""
	if below(file, "adapters") {
		adapter = strings.Join(strings.SplitN(file, "/", 3)[:2], "/")
	}
	own := strings.HasPrefix(imported, "viplog/")
	switch {
	case below(imported, "viplog/cmd"):
		return "nothing imports cmd"
	case below(imported, "go.uber.org/fx") && !below(file, "cmd"):
		return "go.uber.org/fx is for cmd only"
	case below(file, "core") && (below(imported, "viplog/adapters") || below(imported, "viplog/sim")):
		return "core imports no adapters, sim or cmd"
	case below(file, "sim") && own && !below(imported, "viplog/core") && !below(imported, "viplog/sim"):
		return "sim imports only core"
	case adapter != "" && below(imported, "viplog/adapters") && !below(imported, "viplog/"+adapter):
		return adapter + " knows no other adapter; cmd wires them"
	}
	return ""
}

func importIsPure(file string, spec *ast.ImportSpec, imported string, report reporter) {
	if spec.Name != nil && spec.Name.Name == "." {
		report(spec.Pos(), "a dot import hides what is used of %q", imported)
	}
	if imported == "context" {
		if path.Dir(file) != "core/log" {
			report(spec.Pos(), "context is for core/log only")
		}
		return
	}
	if !slices.ContainsFunc(coreImports, func(allowed string) bool {
		folder, family := strings.CutSuffix(allowed, "/*")
		return imported == allowed || family && below(imported, folder)
	}) {
		report(spec.Pos(), "core may not import %q", imported)
	}
}

func nodeIsPure(n ast.Node, names map[string]string, report reporter) {
	switch n := n.(type) {
	case *ast.GoStmt:
		report(n.Pos(), "go statement")
	case *ast.SelectStmt:
		report(n.Pos(), "select statement")
	case *ast.ChanType:
		report(n.Pos(), "channel type")
	case *ast.BasicLit:
		if n.Kind == token.FLOAT || n.Kind == token.IMAG {
			report(n.Pos(), "float literal %s", n.Value)
		}
	case *ast.Ident:
		if n.Name == "float32" || n.Name == "float64" {
			report(n.Pos(), "%s", n.Name)
		}
	case *ast.SelectorExpr:
		// The parser resolves what the file declares, so a package is an identifier without an object.
		if of, ok := n.X.(*ast.Ident); ok && of.Obj == nil {
			switch imported := names[of.Name]; {
			case imported == "time" && slices.Contains(clockNames, n.Sel.Name):
				report(n.Pos(), "time.%s: core knows no clock", n.Sel.Name)
			case imported == "crypto/ed25519" && !slices.Contains(ed25519Names, n.Sel.Name):
				report(n.Pos(), "ed25519.%s: core only checks signatures", n.Sel.Name)
			}
		}
	}
}

// below says whether a path is a folder or within it.
func below(name, folder string) bool { return name == folder || strings.HasPrefix(name, folder+"/") }
