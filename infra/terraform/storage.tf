locals {
  # Names of buckets are unique in the world.
  prefix = "${var.project}-stylebeam"
}

# Photographs, paintings, bundles: written by people, read by jobs.
resource "google_storage_bucket" "input" {
  name                        = "${local.prefix}-input"
  location                    = var.region
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"
}

# What jobs make, and what says what is done. A run with the same command makes anew
# what is lost here, so no second copy is kept, except for a week by the bucket itself.
resource "google_storage_bucket" "output" {
  name                        = "${local.prefix}-output"
  location                    = var.region
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"

  soft_delete_policy {
    retention_duration_seconds = 604800
  }

  lifecycle_rule {
    action {
      type = "AbortIncompleteMultipartUpload"
    }
    condition {
      age = 2
    }
  }
}

# What a job stages and drops. Nothing here is of use after the job.
resource "google_storage_bucket" "temporary" {
  name                        = "${local.prefix}-temporary"
  location                    = var.region
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"
  force_destroy               = true

  # Deleted is deleted: a week of every temporary file would be paid for.
  soft_delete_policy {
    retention_duration_seconds = 0
  }

  lifecycle_rule {
    action {
      type = "Delete"
    }
    condition {
      age = 14
    }
  }
}

# Descriptions of the flex templates, written by whoever releases.
resource "google_storage_bucket" "templates" {
  name                        = "${local.prefix}-templates"
  location                    = var.region
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"

  versioning {
    enabled = true
  }

  lifecycle_rule {
    action {
      type = "Delete"
    }
    condition {
      num_newer_versions = 10
      with_state         = "ARCHIVED"
    }
  }
}
