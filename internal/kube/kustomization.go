package kube

import (
	"bytes"
	"fmt"
	"path"

	"gopkg.in/yaml.v3"

	"github.com/libresh/libre/internal/kit"
)

// kustomization has the fields of
// https://kubectl.docs.kubernetes.io/references/kustomize/kustomization/
type kustomization struct {
	APIVersion string   `yaml:"apiVersion"`
	Kind       string   `yaml:"kind"`
	Resources  []string `yaml:"resources"`
}

// Kustomizations returns a kustomization.yaml for each folder of rendered objects. Sites use it
// to patch the objects. No folder includes another: they are applied at different times.
func Kustomizations(files []kit.File) ([]kit.File, error) {
	byFolder := map[string]*kustomization{}
	var folders []string
	for _, file := range files {
		folder, name := path.Split(file.Name)
		if name == secretsName || folder == valuesFolder {
			continue
		}
		if byFolder[folder] == nil {
			byFolder[folder] = &kustomization{APIVersion: "kustomize.config.k8s.io/v1beta1", Kind: "Kustomization"}
			folders = append(folders, folder)
		}
		byFolder[folder].Resources = append(byFolder[folder].Resources, name)
	}
	var all []kit.File
	for _, folder := range folders {
		var content bytes.Buffer
		encoder := yaml.NewEncoder(&content)
		encoder.SetIndent(2)
		if err := encoder.Encode(byFolder[folder]); err != nil {
			return nil, fmt.Errorf("writing kustomization.yaml: %w", err)
		}
		if err := encoder.Close(); err != nil {
			return nil, err
		}
		all = append(all, kit.File{Name: folder + "kustomization.yaml", Content: content.Bytes()})
	}
	return all, nil
}
