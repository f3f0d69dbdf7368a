"""What runs on machines: etcd, update, fleet. Each also runs alone."""
