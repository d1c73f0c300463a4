locals {
  image = join("/", [
    "${var.region}-docker.pkg.dev", var.project,
    google_artifact_registry_repository.images.repository_id,
    "stylebeam:${var.image_tag}",
  ])

  # The incremental command that cron, systemd and Airflow run too, with its places in
  # buckets.
  parameters = {
    content             = "gs://${google_storage_bucket.input.name}/photos"
    style               = "gs://${google_storage_bucket.input.name}/paintings"
    output              = "gs://${google_storage_bucket.output.name}/stylized"
    precision           = "bfloat16"
    sdk_container_image = local.image
  }
}

resource "google_cloud_scheduler_job" "nightly" {
  name             = "stylebeam-nightly"
  description      = "Stylize what is new"
  region           = var.region
  schedule         = var.schedule
  time_zone        = var.time_zone
  attempt_deadline = "180s"

  # Of the request that starts the job, not of the job.
  retry_config {
    retry_count          = 3
    min_backoff_duration = "30s"
    max_backoff_duration = "300s"
  }

  http_target {
    http_method = "POST"
    uri = join("", [
      "https://dataflow.googleapis.com/v1b3/projects/${var.project}",
      "/locations/${var.region}/flexTemplates:launch",
    ])
    headers = {
      "Content-Type" = "application/json"
    }
    body = base64encode(jsonencode({
      launchParameter = {
        # While a job of this name runs, Dataflow starts no second one.
        jobName              = "stylebeam-nightly"
        containerSpecGcsPath = "gs://${google_storage_bucket.templates.name}/stylize.json"
        parameters           = local.parameters
        environment = {
          serviceAccountEmail   = google_service_account.worker.email
          tempLocation          = "gs://${google_storage_bucket.temporary.name}/temp"
          stagingLocation       = "gs://${google_storage_bucket.temporary.name}/staging"
          machineType           = var.machine_type
          maxWorkers            = var.max_workers
          ipConfiguration       = "WORKER_IP_PRIVATE"
          additionalExperiments = ["no_use_multiple_sdk_containers"]
        }
      }
    }))
    oauth_token {
      service_account_email = google_service_account.scheduler.email
    }
  }

  depends_on = [
    google_project_service.needed,
    google_project_iam_member.scheduler_launches,
  ]
}
