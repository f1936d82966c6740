package manifest

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// file is a manifest file below a folder, with what tells two states of it apart.
type file struct {
	path string
	info fs.FileInfo
	err  error
}

func (f file) same(g file) bool {
	if f.path != g.path || f.err != nil || g.err != nil {
		return f.path == g.path && f.err != nil && g.err != nil
	}
	return f.info.Size() == g.info.Size() && f.info.ModTime().Equal(g.info.ModTime()) && os.SameFile(f.info, g.info)
}

// find lists a folder's manifest files in order, and the folder with its sub-folders.
func find(folder string) (files []file, folders []string, err error) {
	info, err := os.Stat(folder)
	if err != nil {
		return nil, nil, err
	}
	f := finder{}
	err = f.walk(folder, []fs.FileInfo{info})
	slices.SortFunc(f.files, func(a, b file) int { return cmp.Compare(filepath.ToSlash(a.path), filepath.ToSlash(b.path)) })
	return f.files, f.folders, err
}

type finder struct {
	files   []file
	folders []string
}

// walk follows symbolic links, so that volumes that are swapped by a link work, and leaves out a folder that is one
// of its own ancestors.
func (f *finder) walk(folder string, ancestors []fs.FileInfo) error {
	f.folders = append(f.folders, folder)
	entries, err := os.ReadDir(folder)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		// ConfigMap volumes keep the files of each version in a hidden folder and link to them from beside it;
		// editors keep their swap files hidden.
		if strings.HasPrefix(entry.Name(), ".") {
			continue
		}
		path := filepath.Join(folder, entry.Name())
		info, err := os.Stat(path)
		switch {
		case err == nil && info.IsDir():
			if !slices.ContainsFunc(ancestors, func(a fs.FileInfo) bool { return os.SameFile(a, info) }) {
				err = f.walk(path, append(slices.Clone(ancestors), info))
			} else {
				err = nil
			}
			if err != nil {
				return err
			}
		case isManifest(path):
			f.files = append(f.files, file{path: path, info: info, err: err})
		}
	}
	return nil
}

func isManifest(path string) bool {
	switch filepath.Ext(path) {
	case ".yaml", ".yml", ".json":
		return true
	}
	return false
}

// path reads one path that was asked for.
func (r *reader) path(path string, stdin io.Reader) {
	if path == "-" {
		r.once("-", func() { r.stream("stdin", stdin) })
		return
	}
	info, err := os.Stat(path)
	switch {
	case err != nil:
		r.problem(path, 0, reason(err))
	case !info.IsDir():
		r.once(filepath.Clean(path), func() { r.file(path) })
	default:
		files, _, err := find(path)
		if err != nil {
			r.problem(path, 0, reason(err))
		}
		for _, f := range files {
			r.once(filepath.Clean(f.path), func() { r.regular(f) })
		}
	}
}

func (r *reader) once(path string, read func()) {
	if !r.read[path] {
		r.read[path] = true
		read()
	}
}

// regular reads what a folder holds: a pipe or a device there would block.
func (r *reader) regular(f file) {
	switch {
	case f.err != nil:
		r.problem(f.path, 0, reason(f.err))
	case !f.info.Mode().IsRegular():
		r.problem(f.path, 0, "not a regular file")
	default:
		r.file(f.path)
	}
}

func (r *reader) file(path string) {
	f, err := os.Open(path)
	if err != nil {
		r.problem(path, 0, reason(err))
		return
	}
	defer f.Close()
	r.stream(path, f)
}

func (r *reader) stream(name string, from io.Reader) {
	data, err := io.ReadAll(io.LimitReader(from, MaxFileBytes+1))
	switch {
	case err != nil:
		r.problem(name, 0, reason(err))
	case len(data) > MaxFileBytes:
		r.problem(name, 0, fmt.Sprintf("larger than %d MiB: split it into smaller files", MaxFileBytes>>20))
	default:
		r.documents(name, data)
	}
}

// reason is a file error without its path, which the problem names already.
func reason(err error) string {
	if path, ok := errors.AsType[*fs.PathError](err); ok {
		return path.Err.Error()
	}
	return err.Error()
}
