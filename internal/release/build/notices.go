package build

import (
	"context"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/libresh/libre/internal/catalog"
	"github.com/libresh/libre/internal/license"
	"github.com/libresh/libre/internal/sbom"
)

// LicenseTexts returns the texts of the licenses of an image's components, by component ID. The
// texts come from the component's own files and from the modules that it was built from. The
// store must have the image's store paths. If an engine built the image, the layout in Output
// must have it.
func (b *Builder) LicenseTexts(ctx context.Context, image Described) (map[string][]string, error) {
	spec := image.Target.SpecFor(image.Manifest.Platform.String())
	origins, err := originsOf(nixSpecs(spec), image.Document.StorePaths())
	if err != nil {
		return nil, err
	}
	modules, done, err := b.moduleFolders(ctx, image.Document, origins)
	if err != nil {
		return nil, err
	}
	defer done()
	inImage := map[string]string{}
	if spec.Kind() != catalog.KindNix {
		if inImage, err = b.Files.LicenseTexts(ctx, b.Output, image.Document.Subject); err != nil {
			return nil, err
		}
	}
	all := map[string][]string{}
	for _, c := range image.Document.Components {
		owner, _, _ := strings.Cut(c.ID, "#")
		switch folder := modules[owner]; {
		case c.StorePath != "":
			all[c.ID], err = textsBelow(c.StorePath)
		case c.Type == "go-module" && folder != "":
			all[c.ID], err = textsIn(filepath.Join(folder, filepath.FromSlash(c.Name)))
		default:
			all[c.ID] = textsBeside(c, inImage)
		}
		if err != nil {
			return nil, err
		}
	}
	return all, nil
}

// textsBelow reads the texts of licenses anywhere in a store path.
func textsBelow(storePath string) (texts []string, err error) {
	err = filepath.WalkDir(storePath, func(name string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() || !license.IsText(entry.Name()) {
			return err
		}
		text, err := readText(name)
		if text != "" && !slices.Contains(texts, text) {
			texts = append(texts, text)
		}
		return err
	})
	return texts, err
}

// textsIn reads the texts of licenses in a folder, or none if there is no such folder.
func textsIn(dir string) (texts []string, err error) {
	entries, err := os.ReadDir(dir)
	if os.IsNotExist(err) {
		return nil, nil
	}
	for _, entry := range entries {
		if entry.Type().IsRegular() && license.IsText(entry.Name()) {
			text, err := readText(filepath.Join(dir, entry.Name()))
			if err != nil {
				return nil, err
			}
			if text != "" {
				texts = append(texts, text)
			}
		}
	}
	return texts, err
}

func readText(name string) (string, error) {
	info, err := os.Lstat(name)
	if err != nil || info.Size() > license.MaxText {
		return "", err
	}
	text, err := os.ReadFile(name)
	return string(text), err
}

// textsBeside returns the texts in the folders of an image where a package was found, and in
// the folder where Debian keeps the texts of its packages.
// https://www.debian.org/doc/debian-policy/ch-docs.html#copyright-information
func textsBeside(c sbom.Component, inImage map[string]string) (texts []string) {
	var dirs []string
	for _, where := range c.Where {
		dirs = append(dirs, path.Dir(where))
	}
	if c.Type == "deb" {
		dirs = []string{"/usr/share/doc/" + c.Name}
	}
	for _, file := range slices.Sorted(maps.Keys(inImage)) {
		if slices.Contains(dirs, path.Dir(file)) && !slices.Contains(texts, inImage[file]) {
			texts = append(texts, inImage[file])
		}
	}
	return texts
}
