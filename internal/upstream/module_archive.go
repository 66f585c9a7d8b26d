package upstream

import (
	"archive/tar"
	"archive/zip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

// maxModuleZip is the size in bytes of the largest module that cmd/go accepts.
// https://go.dev/ref/mod#zip-path-size-constraints
const maxModuleZip = 500 << 20

// ModuleArchive fetches a version of a Go module and hashes it while reading. The tree is as in
// the module cache: without executable files.
func (c *Client) ModuleArchive(ctx context.Context, path, version string) (*Archive, error) {
	doing := "fetching " + path + "@" + version
	origins, proxies, err := c.origins(path)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", doing, err)
	}
	content, err := ask(origins, proxies, func(o goOrigin) (io.ReadCloser, error) { return o.zip(ctx, version) })
	if err != nil {
		return nil, explain(doing, err)
	}
	defer content.Close()
	spool, err := os.CreateTemp("", "libre-module-")
	if err != nil {
		return nil, fmt.Errorf("%s: %w", doing, err)
	}
	defer spool.Close()
	os.Remove(spool.Name())
	size, err := io.Copy(spool, &limitedReader{io.LimitReader(content, maxModuleZip+1), c.limits.Bytes, c.limits.Bytes})
	if err == nil && size > maxModuleZip {
		err = errors.New("it is larger than a module may be")
	}
	if err != nil {
		return nil, explain(doing, err)
	}
	files, err := zip.NewReader(spool, size)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", doing, err)
	}
	reader, writer := io.Pipe()
	go func() { writer.CloseWithError(moduleTar(writer, files, path+"@"+version+"/")) }()
	defer reader.Close()
	archive, err := HashArchive(reader, c.limits)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", doing, err)
	}
	return archive, nil
}

// moduleTar writes the files of a module as a tar with one top folder.
// https://go.dev/ref/mod#zip-files
func moduleTar(w io.Writer, files *zip.Reader, prefix string) error {
	t := tar.NewWriter(w)
	for _, file := range files.File {
		name, inside := strings.CutPrefix(file.Name, prefix)
		if !inside || file.FileInfo().IsDir() {
			return fmt.Errorf("the module has an unexpected entry %s", shortQuote(file.Name))
		}
		// A zip may record wrong sizes. Then writing the tar fails.
		if err := t.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: "module/" + name, Size: int64(file.UncompressedSize64), Mode: 0o644}); err != nil {
			return err
		}
		content, err := file.Open()
		if err != nil {
			return err
		}
		_, err = io.Copy(t, content)
		if closeErr := content.Close(); err == nil {
			err = closeErr
		}
		if err != nil {
			return err
		}
	}
	return t.Close()
}
