package core

import (
	"fmt"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
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
var knownViolations = map[string]string{}

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
		{"an adapter imports fx", "adapters/a/x.go", `import "go.uber.org/fx"`, "go.uber.org/fx is for cmd/viplog only"},
		{"an adapter imports a part of fx", "adapters/a/x.go", `import "go.uber.org/fx/fxevent"`, "go.uber.org/fx is for cmd/viplog only"},
		{"sim imports fx", "sim/x.go", `import "go.uber.org/fx"`, "go.uber.org/fx is for cmd/viplog only"},
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
		return "nothing imports cmd: move what is shared below it"
	case below(imported, "go.uber.org/fx") && !below(file, "cmd/viplog"):
		return "go.uber.org/fx is for cmd/viplog only"
	case below(file, "core") && (below(imported, "viplog/adapters") || below(imported, "viplog/sim")):
		return "core imports no adapters, sim or cmd: declare a port in core"
	case below(file, "sim") && own && !below(imported, "viplog/core") && !below(imported, "viplog/sim"):
		return "sim imports only core: move what is shared there"
	case adapter != "" && below(imported, "viplog/adapters") && !below(imported, "viplog/"+adapter):
		return adapter + " knows no other adapter; cmd wires them"
	}
	return ""
}

func importIsPure(file string, spec *ast.ImportSpec, imported string, report reporter) {
	if spec.Name != nil && spec.Name.Name == "." {
		report(spec.Pos(), "a dot import hides what is used of %q: name the package", imported)
	}
	if imported == "context" {
		if path.Dir(file) != "core/log" {
			report(spec.Pos(), "context is for core/log only: what waits belongs in an adapter")
		}
		return
	}
	if !slices.ContainsFunc(coreImports, func(allowed string) bool {
		folder, family := strings.CutSuffix(allowed, "/*")
		return imported == allowed || family && below(imported, folder)
	}) {
		report(spec.Pos(), "core may not import %q: take what it gives as an argument", imported)
	}
}

func nodeIsPure(n ast.Node, names map[string]string, report reporter) {
	switch n := n.(type) {
	case *ast.GoStmt:
		report(n.Pos(), "go statement: return a value that says what should run")
	case *ast.SelectStmt:
		report(n.Pos(), "select statement: take the order of inputs from the caller")
	case *ast.ChanType:
		report(n.Pos(), "channel type: use a slice or an iterator")
	case *ast.BasicLit:
		if n.Kind == token.FLOAT || n.Kind == token.IMAG {
			report(n.Pos(), "float literal %s: count in integers", n.Value)
		}
	case *ast.Ident:
		if n.Name == "float32" || n.Name == "float64" {
			report(n.Pos(), "%s: count in integers", n.Name)
		}
	case *ast.SelectorExpr:
		// The parser resolves what the file declares, so a package is an identifier without an object.
		if of, ok := n.X.(*ast.Ident); ok && of.Obj == nil {
			switch imported := names[of.Name]; {
			case imported == "time" && slices.Contains(clockNames, n.Sel.Name):
				report(n.Pos(), "time.%s: core knows no clock, take the time as an argument", n.Sel.Name)
			case imported == "crypto/ed25519" && !slices.Contains(ed25519Names, n.Sel.Name):
				report(n.Pos(), "ed25519.%s: core only checks signatures", n.Sel.Name)
			}
		}
	}
}

// below says whether a path is a folder or within it.
func below(name, folder string) bool { return name == folder || strings.HasPrefix(name, folder+"/") }

func TestNoMapIsRangedOver(t *testing.T) {
	c, folders := newTypedCheck(), []string{}
	err := filepath.WalkDir(".", func(name string, entry fs.DirEntry, err error) error {
		if err == nil && entry.IsDir() && entry.Name() != "testdata" && !strings.HasSuffix(name, "test") {
			folders = append(folders, path.Join("core", filepath.ToSlash(name)))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, folder := range folders {
		if _, err := c.Import("viplog/" + folder); err != nil {
			t.Errorf("%s: %v", folder, err)
		}
	}
	if len(c.packages) < 4 {
		t.Errorf("only %d packages were checked: the test looks at the wrong place", len(c.packages))
	}
	for _, v := range c.found {
		t.Error(v)
	}
}

func TestTheRuleOfRangedMapsBites(t *testing.T) {
	const ranged, unsorted = "x.go:4: range over a map", "x.go:4: maps."
	for _, test := range []struct{ name, body, want string }{
		{"map", "for range m {}", ranged},
		{"keys and values", "for k, v := range m { _, _ = k, v }", ranged},
		{"named type", "type named map[int]int; for range named(m) {}", ranged},
		{"result of a call", "for range maps.Clone(m) {}", ranged},
		{"type parameter", "}; func g[M ~map[K]int, K comparable](m M) { for range m {}", ranged},
		{"unknown type", "for range undefined {}", "x.go:4: type unknown"},
		{"keys ranged over", "for range maps.Keys(m) {}", unsorted + "Keys"},
		{"values collected only", "_ = slices.Collect(maps.Values(m))", unsorted + "Values"},
		{"sorted too late", "x := slices.Collect(maps.Keys(m)); f(m); slices.Sort(x)", unsorted + "Keys"},
		{"another is sorted", "var y []int; x := slices.Collect(maps.Keys(m)); slices.Sort(y); _ = x", unsorted + "Keys"},
		{"function as a value", "all := maps.All[map[int]int]; _ = all", unsorted + "All"},
		{"sorted keys", "for range slices.Sorted(maps.Keys(m)) {}", ""},
		{"sorted by a function", "_ = slices.SortedFunc(maps.Values(m), cmp.Compare[int])", ""},
		{"collected, then sorted", "x := slices.Collect(maps.Keys(m)); slices.Sort(x)", ""},
		{"a slice, a string, a number", "for range []int{} {}; for range \"\" {}; for range 3 {}", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := newTypedCheck()
			text := "package x\nimport (\"cmp\"; \"maps\"; \"slices\")\nvar _, _, _ = cmp.Compare[int], maps.Clone[map[int]int], slices.Max[[]int]\n" +
				"func f(m map[int]int) { " + test.body + " }\n"
			tree, err := parser.ParseFile(c.set, "x.go", text, 0)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := c.check("viplog/x", []*ast.File{tree}); err != nil {
				t.Fatal(err)
			}
			if got := strings.Join(c.found, "\n"); !strings.Contains(got, test.want) || test.want == "" && got != "" {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

// typedCheck finds ranged maps, for which syntax is not enough. Own packages are read from source, so they need not
// build; others come from the compiler's export data, which is much faster than their source.
type typedCheck struct {
	set      *token.FileSet
	packages map[string]*types.Package
	outside  types.Importer
	found    []string
}

func newTypedCheck() *typedCheck {
	o := outside()
	return &typedCheck{set: o.set, packages: map[string]*types.Package{}, outside: o.Importer}
}

type outsideImporter struct {
	types.Importer
	set *token.FileSet
}

var outside = sync.OnceValue(func() outsideImporter {
	arguments := []string{"list", "-export", "-deps", "-f", "{{.ImportPath}}={{.Export}}", "context"}
	for _, allowed := range coreImports {
		if !below(allowed, "viplog") {
			arguments = append(arguments, strings.Replace(allowed, "/*", "/...", 1))
		}
	}
	list, failed := exec.Command("go", arguments...).Output()
	files := map[string]string{}
	for line := range strings.Lines(string(list)) {
		imported, file, _ := strings.Cut(strings.TrimSpace(line), "=")
		files[imported] = file
	}
	set := token.NewFileSet()
	return outsideImporter{set: set, Importer: importer.ForCompiler(set, "gc", func(imported string) (io.ReadCloser, error) {
		if files[imported] == "" {
			return nil, fmt.Errorf("no export data of %s (go list: %v)", imported, failed)
		}
		return os.Open(files[imported])
	})}
})

// Import makes typedCheck the importer of the packages that it checks.
func (c *typedCheck) Import(imported string) (*types.Package, error) {
	folder, own := strings.CutPrefix(imported, "viplog/")
	if !own {
		return c.outside.Import(imported)
	}
	if done := c.packages[imported]; done != nil {
		return done, nil
	}
	names, err := filepath.Glob(filepath.Join("..", folder, "*.go"))
	if err != nil {
		return nil, err
	}
	var trees []*ast.File
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		tree, err := parser.ParseFile(c.set, name, nil, 0)
		if err != nil {
			return nil, err
		}
		trees = append(trees, tree)
	}
	return c.check(imported, trees)
}

func (c *typedCheck) check(imported string, trees []*ast.File) (*types.Package, error) {
	info := &types.Info{Types: map[ast.Expr]types.TypeAndValue{}, Uses: map[*ast.Ident]types.Object{}}
	// The compiler reports type errors better; here an expression without a type is a violation.
	config := types.Config{Importer: c, Error: func(error) {}}
	checked, _ := config.Check(imported, c.set, trees, info)
	c.packages[imported] = checked
	sorted := map[ast.Expr]bool{}
	for _, tree := range trees {
		ast.Inspect(tree, func(n ast.Node) bool { markSorted(n, info, sorted); return true })
		ast.Inspect(tree, func(n ast.Node) bool { c.mapsIn(n, info, sorted); return true })
	}
	return checked, nil
}

func (c *typedCheck) mapsIn(n ast.Node, info *types.Info, sorted map[ast.Expr]bool) {
	at := func(n ast.Node) string { p := c.set.Position(n.Pos()); return fmt.Sprintf("%s:%d", p.Filename, p.Line) }
	switch n := n.(type) {
	case *ast.RangeStmt:
		switch of := info.TypeOf(n.X); {
		case of == nil || of == types.Typ[types.Invalid]:
			c.found = append(c.found, at(n)+": type unknown: make the package compile, then see whether this is a map")
		case isMap(of):
			c.found = append(c.found, at(n)+": range over a map: its order is chance; range over slices.Sorted(maps.Keys(m))")
		}
	case *ast.SelectorExpr:
		if name := function(n, "maps", info); !sorted[n] && slices.Contains([]string{"Keys", "Values", "All"}, name) {
			c.found = append(c.found, at(n)+": maps."+name+": its order is chance; put it directly into slices.Sorted or SortedFunc")
		}
	}
}

func isMap(t types.Type) bool {
	constraint, ok := t.Underlying().(*types.Interface)
	if !ok {
		_, ok = t.Underlying().(*types.Map)
		return ok
	}
	for embedded := range constraint.EmbeddedTypes() {
		if union, ok := embedded.(*types.Union); ok {
			for term := range union.Terms() {
				if isMap(term.Type()) {
					return true
				}
			}
		} else if isMap(embedded) {
			return true
		}
	}
	return false
}

// markSorted marks each maps.Keys, Values or All whose result is sorted at once: an argument of slices.Sorted…, or of
// a slices.Collect that is assigned to a variable that the next statement sorts.
func markSorted(n ast.Node, info *types.Info, sorted map[ast.Expr]bool) {
	var list []ast.Stmt
	switch n := n.(type) {
	case *ast.CallExpr:
		if strings.HasPrefix(function(n.Fun, "slices", info), "Sorted") {
			markArgument(n, sorted)
		}
	case *ast.BlockStmt:
		list = n.List
	case *ast.CaseClause:
		list = n.Body
	}
	for i := 0; i+1 < len(list); i++ {
		assign, ok := list[i].(*ast.AssignStmt)
		next, isCall := list[i+1].(*ast.ExprStmt)
		if !ok || !isCall || len(assign.Lhs) != 1 || len(assign.Rhs) != 1 {
			continue
		}
		collect, ok := assign.Rhs[0].(*ast.CallExpr)
		sort, isCall := next.X.(*ast.CallExpr)
		if ok && isCall && function(collect.Fun, "slices", info) == "Collect" &&
			strings.HasPrefix(function(sort.Fun, "slices", info), "Sort") &&
			types.ExprString(sort.Args[0]) == types.ExprString(assign.Lhs[0]) {
			markArgument(collect, sorted)
		}
	}
}

func markArgument(call *ast.CallExpr, sorted map[ast.Expr]bool) {
	if len(call.Args) > 0 {
		if argument, ok := call.Args[0].(*ast.CallExpr); ok {
			sorted[argument.Fun] = true
		}
	}
}

// function is the name of a package's function that an expression is, or nothing.
func function(e ast.Expr, of string, info *types.Info) string {
	if index, ok := e.(*ast.IndexExpr); ok {
		e = index.X
	}
	selector, ok := e.(*ast.SelectorExpr)
	if !ok {
		return ""
	}
	if name, ok := selector.X.(*ast.Ident); ok {
		if p, ok := info.Uses[name].(*types.PkgName); ok && p.Imported().Path() == of {
			return selector.Sel.Name
		}
	}
	return ""
}
