package kube

// addBudgets writes for each service that may have several replicas that a node which is
// drained takes one at a time.
func (r *renderer) addBudgets() error {
	for _, s := range r.Services {
		alone, err := r.keepsData(s)
		if err != nil {
			return err
		}
		if s.Job != "" || alone || s.MaxReplicas == 1 {
			continue
		}
		o := &disruptionBudget{r.header("policy/v1", "PodDisruptionBudget", s.Name), disruptionBudgetSpec{1, labelSelector{MatchLabels: r.selector(s.Name)}}}
		if err := r.add(o, ""); err != nil {
			return err
		}
	}
	return nil
}
