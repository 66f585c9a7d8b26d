package cli

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/libresh/libre/internal/catalog"
	"github.com/libresh/libre/internal/compare"
	"github.com/libresh/libre/internal/instance"
	"github.com/libresh/libre/internal/kit"
	"github.com/libresh/libre/internal/kube"
)

// plainOptions are for Kubernetes objects that need no operator.
type plainOptions struct {
	upgradeFrom      string // version, or tag
	ingressNamespace string
	gateway          string // NAMESPACE/NAME
	needs            string // one of kube.Providers; "" is Secrets
}

func (o *plainOptions) addFlags(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&o.upgradeFrom, "upgrade-from", "", "the `VERSION` that runs, such as 5.4.0 or 5.4.0-1 (default: none, the first installation)")
	flags.StringVar(&o.ingressNamespace, "ingress-namespace", "", "allow only pods of `NAMESPACE` to reach services that have routes")
	flags.StringVar(&o.gateway, "gateway", "", "write an HTTPRoute for the Gateway `NAMESPACE/NAME`, in place of an Ingress")
	flags.StringVar(&o.needs, "needs", "", "write what provides needs, by `PROVIDER`: "+strings.Join(kube.Providers(), ", ")+" (default: secret, which leaves them to you)")
}

// renderPlain writes Kubernetes objects.
func renderPlain(i *instance.Instance, o appOptions) ([]kit.File, error) {
	if o.plain.needs == kube.CloudPirates && o.output == "" {
		return nil, usageError{errors.New("--needs cloudpirates needs --output DIR: it writes values for helm, which are not objects")}
	}
	from, err := o.plain.from(i)
	if err != nil {
		return nil, err
	}
	files, err := kube.Plain(i, kube.Options{
		Namespace: o.namespace, UpgradeFrom: from, IngressNamespace: o.plain.ingressNamespace, Gateway: o.plain.gateway, Needs: o.plain.needs, Router: o.caddy,
	})
	if err != nil {
		return nil, err
	}
	return o.kustomized(files)
}

// kustomized adds what kustomize reads to objects that are written into a folder.
func (o appOptions) kustomized(files []kit.File) ([]kit.File, error) {
	if o.output == "" {
		return files, nil
	}
	kustomizations, err := kube.Kustomizations(files)
	return append(files, kustomizations...), err
}

// from is the app version that runs; "" is none. It is an error if the app does not allow
// the jump.
func (o plainOptions) from(i *instance.Instance) (string, error) {
	if o.upgradeFrom == "" {
		return "", nil
	}
	from := o.upgradeFrom
	if version, _, isTag := catalog.ParseTag(from); isTag && from != i.App.Spec.Version {
		from = version
	}
	if len(catalog.VersionNumbers(from)) == 0 {
		return "", usageError{fmt.Errorf("--upgrade-from %q, expected a version such as %s", from, i.App.Spec.Version)}
	}
	to := compare.Release{Version: i.App.Spec.Version, Migration: i.App.Spec.Migration}
	upgrade := compare.NewUpgrade(&compare.Release{Version: from, Migration: to.Migration}, &to)
	if upgrade.Verdict != compare.Allowed {
		return "", fmt.Errorf("--upgrade-from %s: %s %s", o.upgradeFrom, i.App.Metadata.Name, upgrade.Reason)
	}
	return from, nil
}

// warnOfOldJobs names folders with jobs that files have none for: whoever follows the steps of
// an upgrade would apply them again.
func (e *env) warnOfOldJobs(output string, files []kit.File) {
	for _, folder := range kube.JobFolders() {
		dir := filepath.Join(output, folder)
		isNew := slices.ContainsFunc(files, func(file kit.File) bool { return strings.HasPrefix(file.Name, folder+"/") })
		if _, err := os.Stat(dir); err == nil && !isNew {
			e.Warnf("%s is of an earlier render, and this one has no such jobs: remove it", dir)
		}
	}
}
