package containerfile

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// toOCI converts the image in docker's format that a dir: transport wrote to OCI's; the
// layers stay as they are. buildah and podman build in docker's format, because with
// OCI's they drop SHELL, HEALTHCHECK and ONBUILD, and steps would ignore SHELL. The
// converted image has these fields where BuildKit's exporter writes them.
// https://github.com/moby/docker-image-spec/blob/v1.3.1/spec.md
func toOCI(dir string) error {
	m, err := readJSON[v1.Manifest](filepath.Join(dir, "manifest.json"))
	if err != nil {
		return err
	}
	m.MediaType, m.Config.MediaType = types.OCIManifestSchema1, types.OCIConfigJSON
	for i := range m.Layers {
		switch l := &m.Layers[i]; l.MediaType {
		case types.DockerUncompressedLayer:
			l.MediaType = types.OCIUncompressedLayer
		case types.DockerLayer:
			l.MediaType = types.OCILayer
		default:
			return fmt.Errorf("layer %s has the media type %s, expected one of docker's", l.Digest, l.MediaType)
		}
	}
	config, err := readJSON[v1.ConfigFile](filepath.Join(dir, m.Config.Digest.Hex))
	if err != nil {
		return err
	}
	raw, err := json.Marshal(ociConfig(config))
	if err != nil {
		return err
	}
	if err := os.Remove(filepath.Join(dir, m.Config.Digest.Hex)); err != nil {
		return err
	}
	return writeConfig(dir, m, raw)
}

// ociConfig returns docker's configuration without the details of the build, which differ
// each time: the working container, its name and settings, and IDs of earlier steps.
func ociConfig(c v1.ConfigFile) v1.ConfigFile {
	out := v1.ConfigFile{
		Architecture: c.Architecture, Variant: c.Variant, OS: c.OS, OSVersion: c.OSVersion, OSFeatures: c.OSFeatures,
		Author: c.Author, Created: c.Created, History: c.History, RootFS: c.RootFS,
		Config: v1.Config{
			User: c.Config.User, ExposedPorts: c.Config.ExposedPorts, Env: c.Config.Env, Entrypoint: c.Config.Entrypoint, Cmd: c.Config.Cmd,
			Volumes: c.Config.Volumes, WorkingDir: c.Config.WorkingDir, Labels: c.Config.Labels, StopSignal: c.Config.StopSignal,
			Healthcheck: c.Config.Healthcheck, OnBuild: c.Config.OnBuild, Shell: c.Config.Shell,
		},
	}
	for i := range out.History {
		out.History[i].Comment = ""
	}
	return out
}
