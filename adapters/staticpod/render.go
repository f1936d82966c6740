package staticpod

import (
	"cmp"
	"io/fs"
	"slices"

	"viplog/core/frontend"
)

// File is a file of the front end, as it has to be.
type File struct {
	Path    string
	Content []byte
	Mode    fs.FileMode
}

// Only root reads them, as is usual for manifests.
const (
	modeFile   = 0o600
	modeScript = 0o700
)

// Render gives the files of a member of the plan, by path. The same arguments give the same bytes. It refuses what would break the front end,
// with all that is wrong at once: errors wrap ErrNotMember and the others below. Who is refused keeps the files that there are.
func Render(p frontend.Plan, l Local, o Options) ([]File, error) {
	o = o.withDefaults()
	if err := refuse(p, l, o); err != nil {
		return nil, err
	}
	v := viewOf(p, l, o)
	files := []File{
		{o.config(fileKeepalived), fill(keepalivedText, v), modeFile},
		{o.config(fileHAProxy), fill(haproxyText, v), modeFile},
		{o.manifest(nameKeepalived), manifestOf(keepalivedPod(o)), modeFile},
		{o.manifest(nameHAProxy), manifestOf(haproxyPod(p, o)), modeFile},
	}
	if len(v.Peers) > 0 {
		files = append(files, File{o.config(fileCheck), fill(checkText, v), modeScript})
	}
	slices.SortFunc(files, func(a, b File) int { return cmp.Compare(a.Path, b.Path) })
	return files, nil
}
