package kube

import "github.com/libresh/libre/internal/instance"

// addBudgets writes a budget for each service that may have several replicas. With it, draining
// a node ends one replica at a time.
func (r *renderer) addBudgets() error {
	for _, s := range r.Services {
		alone, err := r.keepsData(s)
		if err != nil {
			return err
		}
		if s.Job != "" || alone || s.MaxReplicas == 1 {
			continue
		}
		if err := r.add(r.budget(s), ""); err != nil {
			return err
		}
	}
	return nil
}

func (r *renderer) budget(s instance.Service) *disruptionBudget {
	return &disruptionBudget{r.header("policy/v1", "PodDisruptionBudget", s.Name), disruptionBudgetSpec{1, labelSelector{MatchLabels: r.selector(s.Name)}}}
}
