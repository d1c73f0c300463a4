resource "google_monitoring_notification_channel" "email" {
  display_name = "stylebeam"
  type         = "email"
  labels = {
    email_address = var.alert_email
  }
}

resource "google_monitoring_alert_policy" "job_failed" {
  display_name          = "stylebeam: a job failed"
  combiner              = "OR"
  notification_channels = [google_monitoring_notification_channel.email.name]

  conditions {
    display_name = "a Dataflow job named stylebeam-… failed"
    condition_threshold {
      filter = join(" AND ", [
        "resource.type = \"dataflow_job\"",
        "metric.type = \"dataflow.googleapis.com/job/is_failed\"",
        "resource.labels.job_name = starts_with(\"stylebeam-\")",
      ])
      comparison      = "COMPARISON_GT"
      threshold_value = 0
      duration        = "0s"
      aggregations {
        alignment_period   = "300s"
        per_series_aligner = "ALIGN_MAX"
      }
    }
  }

  documentation {
    content   = "What it means and what to do: docs/operations.md of stylebeam."
    mime_type = "text/markdown"
  }
}

# A launch that was refused leaves no job that could fail.
resource "google_logging_metric" "launch_refused" {
  name = "stylebeam/launch_refused"
  filter = join(" AND ", [
    "resource.type = \"cloud_scheduler_job\"",
    "resource.labels.job_id = \"${google_cloud_scheduler_job.nightly.name}\"",
    "severity >= ERROR",
  ])
  metric_descriptor {
    metric_kind = "DELTA"
    value_type  = "INT64"
  }
}

resource "google_monitoring_alert_policy" "launch_refused" {
  display_name          = "stylebeam: the nightly job could not be started"
  combiner              = "OR"
  notification_channels = [google_monitoring_notification_channel.email.name]

  conditions {
    display_name = "Cloud Scheduler was refused"
    condition_threshold {
      filter = join(" AND ", [
        "resource.type = \"cloud_scheduler_job\"",
        "metric.type = \"logging.googleapis.com/user/${google_logging_metric.launch_refused.name}\"",
      ])
      comparison      = "COMPARISON_GT"
      threshold_value = 0
      duration        = "0s"
      aggregations {
        alignment_period   = "300s"
        per_series_aligner = "ALIGN_SUM"
      }
    }
  }

  documentation {
    content   = "What it means and what to do: docs/operations.md of stylebeam."
    mime_type = "text/markdown"
  }
}
